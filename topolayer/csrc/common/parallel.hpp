// Spreads independent tasks over threads: the samples of a batch, the parts of one large image.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <latch>
#include <mutex>
#include <thread>
#include <vector>

#include "common/interrupt.hpp"

namespace topolayer {

// For fewer values in all, starting a thread costs more than it saves.
#ifndef TOPOLAYER_VALUES_WORTH_A_THREAD
#define TOPOLAYER_VALUES_WORTH_A_THREAD (1 << 14)  // the fuzz target, whose grids are small, sets it to 1
#endif
inline constexpr std::int64_t values_worth_a_thread = TOPOLAYER_VALUES_WORTH_A_THREAD;

// From so many values on, memory may run out, and it is worth while to wait until every thread is prepared for that.
inline constexpr std::int64_t values_worth_waiting = 1 << 20;

// How many threads each sample of a batch may have to itself.
inline int threads_per_sample(int threads, std::int64_t samples) {
    return static_cast<int>(std::max<std::int64_t>(1, threads / std::max<std::int64_t>(1, samples)));
}

// How many parts of one sample are worth a thread each: what they find is brought together again, which costs too.
inline std::int64_t parts_of_sample(std::int64_t threads, std::int64_t values) {
    return std::clamp<std::int64_t>(threads, 1, 1 + values / (8 * values_worth_a_thread));
}

// Calls worker(task) for every task, where `make_worker` makes one worker per thread: it holds the buffers. The tasks have so
// many values together. Threads are started for the call and joined before it returns (a pool, or OpenMP's, would not survive
// a fork). An exception of a worker stops all of them and is thrown again here.
template <class MakeWorker>
void for_each_task(std::int64_t tasks, std::int64_t values, std::int64_t threads, Interrupt& interrupt,
                   MakeWorker make_worker) {
    const std::int64_t others = std::max<std::int64_t>(0, std::min({tasks, threads, 1 + values / values_worth_a_thread}) - 1);
    std::atomic<std::int64_t> next{0};
    std::mutex mutex;  // guards the next three
    std::exception_ptr failure;
    bool interrupted = false;
    std::int64_t at_work = 0;
    std::condition_variable somebody_is_done;
    const auto guarded = [&](auto part_of_the_work) {
        try {
            part_of_the_work();
        } catch (const Interrupted&) {  // something has failed elsewhere, perhaps in another team
            const std::lock_guard lock(mutex);
            interrupted = true;
        } catch (...) {
            const std::lock_guard lock(mutex);
            if (!failure) failure = std::current_exception();
            next.store(tasks);
            interrupt.stop();
        }
    };
    const auto work = [&] {
        guarded([&] {
            auto worker = make_worker();
            for (std::int64_t task; (task = next.fetch_add(1)) < tasks;) worker(task);
        });
    };
    // The first exception of a thread takes a little memory, and where there is none left the process ends. So before any of
    // them begins to use memory up, every thread throws one, or does without work if there is no memory for it.
    const bool prepares = values >= values_worth_waiting;
    std::latch prepared(prepares ? others : 0);
    std::mutex one_at_a_time;
    const auto can_throw = [&] {
        const std::lock_guard lock(one_at_a_time);
        void* volatile more_than_enough = std::malloc(std::size_t{1} << 20);
        if (!more_than_enough) return false;
        std::free(more_than_enough);
        try {
            throw Interrupted();
        } catch (const Interrupted&) {
            return true;
        }
    };
    const auto prepare_and_work = [&] {
        const bool able = !prepares || can_throw();
        if (prepares) prepared.arrive_and_wait();
        if (able) work();
        const std::lock_guard lock(mutex);
        --at_work;
        somebody_is_done.notify_one();
    };
    std::vector<std::thread> team;
    try {
        for (std::int64_t i = 0; i < others; ++i) {
            const std::lock_guard lock(one_at_a_time);
            team.emplace_back(prepare_and_work);
            const std::lock_guard counting(mutex);
            ++at_work;
        }
    } catch (const std::exception&) {
        // The system gives no more threads, or no memory for them: those that are there do the work.
        if (prepares) prepared.count_down(others - static_cast<std::int64_t>(team.size()));
    }
    if (prepares) can_throw();
    prepared.wait();
    work();
    for (std::unique_lock lock(mutex); at_work > 0;) {
        somebody_is_done.wait_for(lock, std::chrono::milliseconds(50));
        lock.unlock();
        guarded([&] { interrupt.look(); });
        lock.lock();
    }
    for (std::thread& thread : team) thread.join();
    if (failure) std::rethrow_exception(failure);
    if (interrupted) throw Interrupted();
}

}  // namespace topolayer
