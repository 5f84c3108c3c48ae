// Spreads the samples of a batch over threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace topolayer {

// Below this many values in all, starting a thread costs more than it saves.
inline constexpr std::int64_t values_worth_a_thread = 1 << 14;

// Calls worker(sample) for every sample, where `make_worker` makes one worker per thread: it holds the buffers. Threads are
// started for the call and joined before it returns (a pool, or OpenMP's, would not survive a fork). An exception of a
// worker stops all of them and is thrown again here.
template <class MakeWorker>
void for_each_sample(std::int64_t samples, std::int64_t values_per_sample, int threads, MakeWorker make_worker) {
    const std::int64_t worth = 1 + samples * values_per_sample / values_worth_a_thread;
    const auto count = std::min<std::int64_t>({samples, worth, std::max(threads, 1)});
    std::atomic<std::int64_t> next{0};
    std::exception_ptr failure;
    std::mutex failure_mutex;
    const auto work = [&] {
        try {
            auto worker = make_worker();
            for (std::int64_t sample; (sample = next.fetch_add(1)) < samples;) worker(sample);
        } catch (...) {
            next.store(samples);
            const std::lock_guard lock(failure_mutex);
            failure = std::current_exception();
        }
    };
    std::vector<std::thread> team;
    try {
        for (std::int64_t i = 1; i < count; ++i) team.emplace_back(work);
    } catch (const std::exception&) {
        // The system gives no more threads, or no memory for them: those that are there do the work.
    }
    work();
    for (std::thread& thread : team) thread.join();
    if (failure) std::rethrow_exception(failure);
}

}  // namespace topolayer
