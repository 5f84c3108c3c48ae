// Spreads independent tasks over threads: the samples of a batch, the parts of one large image.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "interrupt.hpp"

namespace topolayer {

// For fewer values, starting a thread costs more than it saves.
inline constexpr std::int64_t values_worth_a_thread = 1 << 14;

// Calls worker(task) for every task, where `make_worker` makes one worker per thread: it holds the buffers. Threads are
// started for the call and joined before it returns (a pool, or OpenMP's, would not survive a fork). An exception of a
// worker stops all of them and is thrown again here.
template <class MakeWorker>
void for_each_task(std::int64_t tasks, std::int64_t threads, Interrupt& interrupt, MakeWorker make_worker) {
    std::atomic<std::int64_t> next{0};
    std::exception_ptr failure;
    std::mutex failure_mutex;
    const auto work = [&] {
        try {
            auto worker = make_worker();
            for (std::int64_t task; (task = next.fetch_add(1)) < tasks;) worker(task);
        } catch (const Interrupted&) {  // another thread has failed
        } catch (...) {
            const std::lock_guard lock(failure_mutex);
            if (!failure) failure = std::current_exception();
            next.store(tasks);
            interrupt.stop();
        }
    };
    std::vector<std::thread> team;
    try {
        for (std::int64_t i = 1; i < std::min(tasks, threads); ++i) team.emplace_back(work);
    } catch (const std::exception&) {
        // The system gives no more threads, or no memory for them: those that are there do the work.
    }
    work();
    for (std::thread& thread : team) thread.join();
    if (failure) std::rethrow_exception(failure);
}

}  // namespace topolayer
