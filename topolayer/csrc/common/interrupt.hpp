// How a long computation is broken off: by the one who asked for it (Ctrl-C), or because another thread has failed.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <thread>
#include <utility>

namespace topolayer {

struct Interrupted : std::exception {};

class Interrupt {
public:
    // `check` is called now and then, by the thread that makes this object, and throws if no result is wanted any more.
    explicit Interrupt(std::function<void()> check = [] {}) : check_(std::move(check)) {}

    // Throws if the work is to be broken off.
    void look() {
        if (stopped_.load(std::memory_order_relaxed)) throw Interrupted();
        if (std::this_thread::get_id() != caller_ || Clock::now() - checked_ < pause) return;
        check_();
        checked_ = Clock::now();
    }

    // Makes all threads stop.
    void stop() { stopped_.store(true, std::memory_order_relaxed); }

private:
    using Clock = std::chrono::steady_clock;
    static constexpr auto pause = std::chrono::milliseconds(50);  // asking Python takes its global lock

    std::function<void()> check_;
    std::thread::id caller_ = std::this_thread::get_id();
    Clock::time_point checked_ = Clock::now();
    std::atomic<bool> stopped_ = false;
};

// Looks at an interrupt once in so much work.
class Pace {
public:
    explicit Pace(Interrupt& interrupt) : interrupt_(interrupt) {}

    void after(std::int64_t values) {
        since_ += values;
        if (since_ < values_between_looks) return;
        since_ = 0;
        interrupt_.look();
    }

private:
    static constexpr std::int64_t values_between_looks = 1 << 17;

    Interrupt& interrupt_;
    std::int64_t since_ = 0;
};

}  // namespace topolayer
