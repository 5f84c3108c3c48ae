// Memory that runs out when a test wants it to.
#pragma once

#include <atomic>
#include <limits>

namespace memory {

inline constexpr long enough = std::numeric_limits<long>::max();
extern std::atomic<long> allocations_left;

// While it lives, only so many allocations succeed, by all threads together.
class Scarce {
public:
    explicit Scarce(long allocations) { allocations_left = allocations; }
    ~Scarce() { allocations_left = enough; }
    Scarce(const Scarce&) = delete;
    Scarce& operator=(const Scarce&) = delete;
};

}  // namespace memory
