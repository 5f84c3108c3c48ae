// Storage that is kept from one sample to the next, and is not cleared when it grows.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace topolayer {

inline void prefetch([[maybe_unused]] const void* address) {
#ifdef __GNUC__
    __builtin_prefetch(address);
#endif
}

template <class T>
class Buffer {
public:
    std::size_t size() const { return size_; }
    std::size_t bytes() const { return capacity_ * sizeof(T); }
    T* begin() { return data_.get(); }
    T* end() { return data_.get() + size_; }
    const T* begin() const { return data_.get(); }
    const T* end() const { return data_.get() + size_; }
    T& operator[](std::size_t i) { return data_[i]; }
    const T& operator[](std::size_t i) const { return data_[i]; }
    T& back() { return data_[size_ - 1]; }

    void clear() { size_ = 0; }

    // What it held is lost; the new elements have no value yet.
    void renew(std::size_t size) {
        if (size > capacity_) {
            data_.reset();
            size_ = capacity_ = 0;
            reallocate(size);
        }
        size_ = size;
    }

    // Makes room for `more` elements behind the last one and returns where they go; `end_at` says which were filled.
    T* room_for(std::size_t more) {
        if (size_ + more > capacity_) reallocate(std::max(size_ + more, capacity_ + capacity_ / 2));
        return end();
    }
    void end_at(const T* end) { size_ = static_cast<std::size_t>(end - data_.get()); }

    void push_back(const T& element) {
        *room_for(1) = element;
        ++size_;
    }

    void release() { *this = Buffer(); }

    void swap(Buffer& other) noexcept {
        data_.swap(other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
    }

private:
    static_assert(std::is_trivially_copyable_v<T>);

    struct Free {
        void operator()(T* data) const { std::free(data); }
    };

    // Large blocks are moved by the system, without a copy and without a touch of their pages.
    void reallocate(std::size_t capacity) {
        if (capacity > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_alloc();
        auto* data = static_cast<T*>(std::realloc(data_.get(), capacity * sizeof(T)));
        if (!data) throw std::bad_alloc();
        static_cast<void>(data_.release());
        data_.reset(data);
        capacity_ = capacity;
    }

    std::unique_ptr<T[], Free> data_;
    std::size_t size_ = 0, capacity_ = 0;
};

}  // namespace topolayer
