// What tells a matrix of distances from one that is none.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "common/interrupt.hpp"
#include "common/sample.hpp"
#include "common/values.hpp"

namespace topolayer {

// The smallest and the largest entry off the diagonal, the largest absolute value on it, and the largest difference between two
// entries across it. The largest entry is infinite where one off the diagonal is not finite.
template <class Value>
struct DistanceExtremes {
    Value smallest, largest, diagonal, asymmetry;
};

// One pass over the matrix of a sample, of two points or more.
template <class Value>
class FindExtremes {
public:
    DistanceExtremes<Value> operator()(const Sample<Value>& sample, std::int64_t points) {
        Pace pace(sample.interrupt);
        const Value* const distances = sample.values;
        least_ = std::numeric_limits<Key<Value>>::max();
        most_ = apart_ = 0;
        finite_ = true;
        for (std::int64_t top = 0; top < points; top += side)
            for (std::int64_t left = top; left < points; left += side) {
                copy_blocks(distances, points, top, left);
                look_at_blocks();
                pace.after(side * side);
            }
        Value diagonal = 0;
        for (std::int64_t i = 0; i < points && !std::isnan(diagonal); ++i) {
            const Value entry = std::abs(distances[i * points + i]);
            if (!(entry <= diagonal)) diagonal = entry;
        }
        const Value largest = finite_ ? value_of(most_) : std::numeric_limits<Value>::infinity();
        return {value_of(least_), largest, diagonal, std::bit_cast<Value>(apart_)};
    }

private:
    static constexpr std::int64_t side = 32;  // of blocks that stay in the cache

    // The block and the one across the diagonal, turned round. Where there is no entry off the diagonal there is another one.
    void copy_blocks(const Value* distances, std::int64_t points, std::int64_t top, std::int64_t left) {
        const std::int64_t height = std::min(side, points - top), width = std::min(side, points - left);
        if (top == left || height < side || width < side) {
            std::fill(block_, block_ + side * side, distances[1]);
            std::fill(across_, across_ + side * side, distances[1]);
        }
        for (std::int64_t i = 0; i < height; ++i)
            std::copy_n(distances + (top + i) * points + left, width, block_ + i * side);
        for (std::int64_t j = 0; j < width; ++j)
            for (std::int64_t i = 0; i < height; ++i) across_[i * side + j] = distances[(left + j) * points + top + i];
        if (top == left)
            for (std::int64_t i = 0; i < height; ++i) block_[i * side + i] = across_[i * side + i] = distances[1];
    }

    // In integers: minima of floats would have to be found one after the other.
    void look_at_blocks() {
        Key<Value> least = least_, most = most_, apart = apart_;
        for (std::int64_t i = 0; i < side * side; ++i) {
            const Key<Value> a = order_key(block_[i], false), b = order_key(across_[i], false);
            least = std::min(least, std::min(a, b));
            most = std::max(most, std::max(a, b));
            apart = std::max(apart, std::bit_cast<Key<Value>>(std::abs(block_[i] - across_[i])));
        }
        least_ = least;
        most_ = most;
        apart_ = apart;
        finite_ &= are_finite(block_, side * side) && are_finite(across_, side * side);
    }

    static Value value_of(Key<Value> key) {
        constexpr Key<Value> sign = Key<Value>{1} << (8 * sizeof(Value) - 1);
        return std::bit_cast<Value>(static_cast<Key<Value>>(key & sign ? key ^ sign : ~key));
    }

    Value block_[side * side], across_[side * side];
    Key<Value> least_, most_, apart_;
    bool finite_;
};

}  // namespace topolayer
