// Sums of cells modulo 2, by voxel: a set of cells each, in bits.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/buffer.hpp"
#include "common/values.hpp"

namespace topolayer {

// The order in which voxels enter the filtration, or its reverse, as numbers.
template <class Value>
class VoxelOrder {
    static constexpr bool narrow = sizeof(Key<Value>) == 4;  // a key and a position fit into one number

public:
    struct Wide {
        std::uint64_t key;
        Position position;
        auto operator<=>(const Wide&) const = default;
    };
    using Entry = std::conditional_t<narrow, std::uint64_t, Wide>;

    // The highest bit in which two entries differ, from one on, or zero.
    static unsigned difference(const Entry& a, const Entry& b) {
        if constexpr (narrow)
            return static_cast<unsigned>(std::bit_width(a ^ b));
        else
            return static_cast<unsigned>(a.key != b.key ? 32 + std::bit_width(a.key ^ b.key)
                                                        : std::bit_width(a.position ^ b.position));
    }
    static constexpr std::size_t differences = 8 * sizeof(Key<Value>) + 32 + 1;

    VoxelOrder(const Value* values, bool superlevel, bool reversed)
        : values_(values), high_first_(superlevel != reversed), flip_(reversed ? ~Position{0} : 0) {}

    Entry operator()(Position position) const {
        if constexpr (narrow)
            return std::uint64_t{key(position)} << 32 | (position ^ flip_);
        else
            return {key(position), position ^ flip_};
    }

    Key<Value> key(Position position) const { return order_key(values_[position], high_first_); }

    // What no voxel comes behind.
    static Entry end() {
        if constexpr (narrow)
            return ~Entry{0};
        else
            return {~std::uint64_t{0}, ~Position{0}};
    }

    void prefetch(Position position) const { topolayer::prefetch(values_ + position); }

    Position position(const Entry& entry) const {
        if constexpr (narrow)
            return static_cast<Position>(entry) ^ flip_;
        else
            return entry.position ^ flip_;
    }

private:
    const Value* values_;
    bool high_first_;
    Position flip_;
};

// What was found for a column: cells of the last voxel, and those of earlier ones behind it in memory.
template <class Mask>
struct StoredChain {
    std::uint32_t column, count, residual;

    const Position* positions() const { return reinterpret_cast<const Position*>(this + 1); }
    const unsigned char* masks() const { return reinterpret_cast<const unsigned char*>(positions() + count); }
};

// Memory that never moves, as other threads read in it.
class Arena {
public:
    Arena() = default;
    Arena(Arena&& other) noexcept : chunks_(std::move(other.chunks_)), next_(other.next_), left_(other.left_) {
        other.chunks_.clear();
        other.left_ = 0;
    }
    Arena& operator=(Arena&&) = delete;
    ~Arena() {
        for (void* chunk : chunks_) std::free(chunk);
    }

    unsigned char* take(std::size_t bytes) {
        bytes = (bytes + 7) / 8 * 8;
        if (bytes > left_) {
            const std::size_t size = std::max(bytes, chunk_size);
            chunks_.reserve(chunks_.size() + 1);
            void* const chunk = std::realloc(nullptr, size);
            if (!chunk) throw std::bad_alloc();
            chunks_.push_back(chunk);
            next_ = static_cast<unsigned char*>(chunk);
            left_ = size;
        }
        left_ -= bytes;
        return std::exchange(next_, next_ + bytes);
    }

private:
    static constexpr std::size_t chunk_size = std::size_t{1} << 18;

    std::vector<void*> chunks_;
    unsigned char* next_ = nullptr;
    std::size_t left_ = 0;
};

// Hands out entries from the last one on. What is pushed has to precede what was handed out, and most of it never comes up: so
// entries are sorted no further than into buckets, by the highest bit in which they differ from the one handed out last.
template <class Order>
class DescendingQueue {
public:
    using Entry = typename Order::Entry;

    // Empty; everything comes before `limit`.
    void start(const Entry& limit) {
        clear();
        last_ = limit;
    }

    void clear() {
        for_each_bucket([](Buffer<Entry>& bucket) { bucket.clear(); });
        filled_.fill(0);
    }

    void push(const Entry& entry) {
        const unsigned number = Order::difference(entry, last_);
        filled_[number / 64] |= std::uint64_t{1} << number % 64;
        buckets_[number].push_back(entry);
    }

    bool pop(Entry& entry) {
        const unsigned half = filled_[0] == 0 && halves > 1;
        if (filled_[half] == 0) return false;
        const unsigned number = 64 * half + static_cast<unsigned>(std::countr_zero(filled_[half]));
        Buffer<Entry>& bucket = buckets_[number];
        filled_[half] &= filled_[half] - 1;
        Entry* const last = std::max_element(bucket.begin(), bucket.end());
        entry = last_ = *last;
        std::swap(*last, bucket.back());
        bucket.end_at(bucket.end() - 1);
        for (const Entry& other : bucket) push(other);  // into lower buckets
        bucket.clear();
        return true;
    }

    // One that will come soon, or nullptr.
    const Entry* soon() const {
        const unsigned half = filled_[0] == 0 && halves > 1;
        if (filled_[half] == 0) return nullptr;
        return buckets_[64 * half + static_cast<unsigned>(std::countr_zero(filled_[half]))].end() - 1;
    }

    template <class Function>
    void for_each(Function function) {
        for_each_bucket([&](Buffer<Entry>& bucket) { std::for_each(bucket.begin(), bucket.end(), function); });
    }

private:
    static constexpr std::size_t halves = (Order::differences + 63) / 64;

    template <class Function>
    void for_each_bucket(Function function) {
        for (std::size_t half = 0; half < halves; ++half)
            for (std::uint64_t left = filled_[half]; left; left &= left - 1)
                function(buckets_[64 * half + static_cast<std::size_t>(std::countr_zero(left))]);
    }

    Entry last_{};
    std::array<std::uint64_t, halves> filled_{};  // a bit for each bucket
    std::array<Buffer<Entry>, Order::differences> buckets_;
};

// The sum that is worked on: the last voxel comes off first. The highest bit of a mask says that its voxel is waiting.
template <class Value, class Mask>
class Chain {
public:
    using Order = VoxelOrder<Value>;
    using Stored = StoredChain<Mask>;

    Chain(const Order& order, std::int64_t voxels) : order_(order) {
        masks_.renew(static_cast<std::size_t>(voxels));
        std::fill(masks_.begin(), masks_.end(), Mask{0});
    }

    // All cells to come enter before this voxel.
    void start(Position limit) { waiting_.start(order_(limit)); }

    // They may enter whenever they want.
    void start() { waiting_.start(Order::end()); }

    void add(Position position, Mask cells) {
        Mask& mask = masks_[position];
        if (!(mask & waits)) waiting_.push(order_(position));
        mask = static_cast<Mask>((mask ^ cells) | waits);
    }

    void add(const Stored& stored) {
        const Position* const positions = stored.positions();
        const unsigned char* const masks = stored.masks();
        for (std::uint32_t i = 0; i < stored.count; ++i) {
            Mask mask;
            std::memcpy(&mask, masks + i * sizeof(Mask), sizeof(Mask));
            add(positions[i], mask);
        }
    }

    // Calls function(a voxel that will come off soon).
    template <class Function>
    void look_ahead(Function function) const {
        if (const auto* entry = waiting_.soon()) function(order_.position(*entry));
    }

    void prefetch(Position voxel) const {
        topolayer::prefetch(&masks_[voxel]);
        order_.prefetch(voxel);
    }

    // The cells of the last voxel, which it has no more; false if there is none.
    bool pop(Position& position, Mask& cells) {
        typename Order::Entry entry;
        while (waiting_.pop(entry)) {
            position = order_.position(entry);
            cells = static_cast<Mask>(std::exchange(masks_[position], Mask{0}) & ~waits);
            if (cells) return true;
        }
        return false;
    }

    const Stored* store(Arena& arena, std::uint32_t column, std::uint32_t residual) {
        std::uint32_t count = 0;
        for_each_voxel([&](Position, Mask) { ++count; });
        unsigned char* const bytes = arena.take(sizeof(Stored) + count * (sizeof(Position) + sizeof(Mask)));
        const auto* stored = new (bytes) Stored{column, count, residual};
        unsigned char *position_at = bytes + sizeof(Stored), *mask_at = position_at + count * sizeof(Position);
        for_each_voxel([&](Position position, Mask mask) {
            std::memcpy(position_at, &position, sizeof(Position));
            std::memcpy(mask_at, &mask, sizeof(Mask));
            position_at += sizeof(Position);
            mask_at += sizeof(Mask);
        });
        return stored;
    }

    void clear() {
        waiting_.for_each([&](const auto& entry) { masks_[order_.position(entry)] = 0; });
        waiting_.clear();
    }

private:
    static constexpr auto waits = static_cast<Mask>(Mask{1} << (8 * sizeof(Mask) - 1));

    // That has cells.
    template <class Function>
    void for_each_voxel(Function function) {
        waiting_.for_each([&](const auto& entry) {
            const Position position = order_.position(entry);
            if (const auto mask = static_cast<Mask>(masks_[position] & ~waits)) function(position, mask);
        });
    }

    Order order_;
    Buffer<Mask> masks_;
    DescendingQueue<Order> waiting_;
};

}  // namespace topolayer
