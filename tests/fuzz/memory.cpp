// The program's `operator new`, apart from its users: inlined there, it would look to the compiler like a mismatch. And its
// `realloc`, by the linker's option --wrap=realloc.
#include "memory.hpp"

#include <cstdlib>
#include <new>

std::atomic<long> memory::allocations_left{memory::enough};

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return memory::allocations_left.fetch_sub(1) > 0 ? std::malloc(size ? size : 1) : nullptr;
}

extern "C" void* __real_realloc(void* memory, std::size_t size);
extern "C" void* __wrap_realloc(void* memory, std::size_t size) {
    return memory::allocations_left.fetch_sub(1) > 0 ? __real_realloc(memory, size) : nullptr;
}

void* operator new(std::size_t size) {
    void* memory = operator new(size, std::nothrow);
    if (!memory) throw std::bad_alloc();
    return memory;
}

void operator delete(void* memory) noexcept { std::free(memory); }

void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
