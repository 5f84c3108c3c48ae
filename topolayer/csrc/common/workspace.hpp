// Keeps the buffers of an algorithm from one call to the next: on fresh memory, the first touch of every page costs more
// than the topology. They hold nothing that a result depends on.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace topolayer {

// Lends an object that owns buffers (`bytes()` says how many), a kept one or a new one, and takes it back in the end.
template <class Algorithm>
class Workspace {
public:
    Workspace() : algorithm_(take()) {}
    Workspace(Workspace&&) noexcept = default;
    Workspace& operator=(Workspace&&) = delete;
    ~Workspace() {
        const bool broken_off = std::uncaught_exceptions() > 0;  // in the middle of something: it is not used again
        if (algorithm_ && !broken_off) keep(std::move(algorithm_));
    }

    Algorithm* operator->() { return algorithm_.get(); }
    Algorithm& operator*() { return *algorithm_; }

private:
    static constexpr std::size_t most_bytes = std::size_t{64} << 20;  // of all that are kept

    struct Shelf {
        std::mutex mutex;
        std::vector<std::unique_ptr<Algorithm>> algorithms;
        std::size_t bytes = 0;
    };

    static Shelf& shelf() {
        static Shelf& result = *new Shelf;  // never destroyed: a thread may still be at work when the process ends
        return result;
    }

    // The lock is tried, not waited for: in a forked process, the thread that held it may not exist.
    static std::unique_ptr<Algorithm> take() {
        const std::unique_lock lock(shelf().mutex, std::try_to_lock);
        if (!lock || shelf().algorithms.empty()) return std::make_unique<Algorithm>();
        auto result = std::move(shelf().algorithms.back());
        shelf().algorithms.pop_back();
        shelf().bytes -= result->bytes();
        return result;
    }

    static void keep(std::unique_ptr<Algorithm> algorithm) noexcept {
        const std::size_t bytes = algorithm->bytes();
        try {
            const std::unique_lock lock(shelf().mutex, std::try_to_lock);
            if (!lock || shelf().bytes + bytes > most_bytes) return;
            shelf().algorithms.push_back(std::move(algorithm));
            shelf().bytes += bytes;
        } catch (...) {  // no memory to note it: it is freed
        }
    }

    std::unique_ptr<Algorithm> algorithm_;
};

}  // namespace topolayer
