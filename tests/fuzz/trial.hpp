// What the fuzz target makes of bytes, and how what the core finds is compared with what the plain method does.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <new>
#include <random>
#include <vector>

#include "common/batch.hpp"
#include "memory.hpp"
#include "plain.hpp"

#if defined(__SANITIZE_THREAD__)
constexpr bool can_run_out_of_memory = false;  // the sanitizer hangs when a function throws under std::call_once
#else
constexpr bool can_run_out_of_memory = true;
#endif

// Reads what is left of the input; zeros after its end.
class Bytes {
public:
    Bytes(const std::uint8_t* data, std::size_t size) : next_(data), end_(data + size) {}

    std::uint8_t byte() { return next_ < end_ ? *next_++ : 0; }

    // From 0 to `largest`.
    int upto(int largest) { return byte() % (largest + 1); }

    template <class Value>
    Value raw() {
        std::uint8_t bytes[sizeof(Value)];
        for (std::uint8_t& b : bytes) b = byte();
        return std::bit_cast<Value>(bytes);
    }

private:
    const std::uint8_t *next_, *end_;
};

template <class Value>
std::vector<Value> read_values(Bytes& in, std::size_t count) {
    using Limits = std::numeric_limits<Value>;
    constexpr Value special[] = {0, Value{-0.0}, 1, -1, Limits::denorm_min(), -Limits::denorm_min(), Limits::max(),
                                 Limits::lowest(), Limits::min(), 1 + Limits::epsilon(), 3 * Limits::denorm_min(), 0, 2,
                                 Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN()};
    std::vector<Value> values(count);
    const int way = in.upto(4), among = 1 + in.byte();
    std::minstd_rand random(in.raw<std::uint32_t>());
    for (Value& value : values) switch (way) {
            case 0: value = static_cast<Value>(in.byte() % (1 + among % 8)); break;
            case 1: value = special[in.byte() % (among % 8 ? 13 : 16)]; break;
            case 2: value = in.raw<Value>(); break;
            // many values from few bytes: noise with ties, and without
            case 3: value = static_cast<Value>(random() % among); break;
            case 4: value = static_cast<Value>(random()); break;
        }
    return values;
}

[[noreturn]] inline void disagree(const char* what) {
    std::fprintf(stderr, "disagreement: %s\n", what);
    std::abort();
}

inline void expect(bool holds, const char* what) {
    if (!holds) disagree(what);
}

inline bool all_finite(const auto* values, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
        if (!std::isfinite(values[i])) return false;
    return true;
}

// Runs it once with all the memory, after it had as little as the input says: that ends well, or in bad_alloc.
template <class Compute>
auto with_little_memory_first(Bytes& in, Compute compute) {
    const int allocations = in.byte();
    if (can_run_out_of_memory && allocations % 2) {
        try {
            const memory::Scarce scarce(allocations / 2);
            compute();
        } catch (const std::bad_alloc&) {
        }
    }
    return compute();
}

// What the core is given of the input, and what it must find of it.
template <class Value>
class Trial {
public:
    Trial(Bytes& in, std::vector<std::int64_t> offsets)
        : offsets_(std::move(offsets)), values_(read_values<Value>(in, offsets_.back())), threads_(1 + in.upto(4)) {}

    Trial(Bytes& in, std::int64_t values_per_sample)
        : Trial(in, topolayer::offsets_of_one_size(in.upto(in.byte() % 16 ? 3 : 40), values_per_sample)) {}

    std::vector<Value>& values() { return values_; }
    std::int64_t samples() const { return static_cast<std::int64_t>(offsets_.size()) - 1; }
    std::int64_t size(std::int64_t number) const { return offsets_[number + 1] - offsets_[number]; }
    const Value* sample(std::int64_t number) const { return values_.data() + offsets_[number]; }

    topolayer::Batch<Value> batch(bool superlevel) const { return {values_.data(), offsets_, superlevel, threads_}; }

    // `expected` makes the bars of a sample that is finite, by its number, in a dimension.
    void expect_bars(const topolayer::BatchBars& found, const std::vector<int>& dims, auto expected, const char* what) const {
        topolayer::BatchBars all;
        for (std::int64_t number = 0; number < samples(); ++number)
            for (const int dim : dims) {
                if (!all_finite(sample(number), size(number))) {
                    all.all_finite = false;
                    continue;
                }
                const plain::Bars bars = expected(number, dim);
                append(all.finite, bars.finite, 2, dim, number);
                append(all.essential, bars.essential, 1, dim, number);
            }
        expect(found.all_finite == all.all_finite, "whether all is finite");
        for (const auto part : {&topolayer::BatchBars::finite, &topolayer::BatchBars::essential}) {
            expect((found.*part).indices == (all.*part).indices, what);
            expect((found.*part).dims == (all.*part).dims, "dimensions");
            expect((found.*part).samples == (all.*part).samples, "samples");
        }
    }

    // `expected` makes the values that a sample takes, by its number. Each must be that of the sample's entry with the index
    // that was found.
    void expect_indices(bool finite, const std::vector<std::int32_t>& indices, auto expected) const {
        expect(finite == all_finite(values_.data(), values_.size()), "simplified, not finite");
        for (std::int64_t number = 0; finite && number < samples(); ++number) {
            const auto simplified = expected(number);
            for (std::int64_t i = 0; i < size(number); ++i) {
                const std::int64_t index = indices[offsets_[number] + i] - offsets_[number];
                expect(0 <= index && index < size(number) && sample(number)[index] == simplified[i], "simplified");
                expect(index == i || simplified[i] != sample(number)[i], "simplified without need");
            }
        }
    }

private:
    void append(topolayer::JoinedBars& bars, const std::vector<plain::Index>& found, std::size_t per_bar, int dim,
                std::int64_t number) const {
        for (const plain::Index index : found) bars.indices.push_back(offsets_[number] + index);
        bars.dims.insert(bars.dims.end(), found.size() / per_bar, dim);
        bars.samples.insert(bars.samples.end(), found.size() / per_bar, number);
    }

    std::vector<std::int64_t> offsets_;
    std::vector<Value> values_;
    int threads_;
};
