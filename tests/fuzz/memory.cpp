// The program's `operator new`, apart from its users: inlined there, it would look to the compiler like a mismatch.
#include "memory.hpp"

#include <cstdlib>
#include <new>

std::atomic<long> memory::allocations_left{memory::enough};

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return memory::allocations_left.fetch_sub(1) > 0 ? std::malloc(size ? size : 1) : nullptr;
}

void* operator new(std::size_t size) {
    void* memory = operator new(size, std::nothrow);
    if (!memory) throw std::bad_alloc();
    return memory;
}

void operator delete(void* memory) noexcept { std::free(memory); }

void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
