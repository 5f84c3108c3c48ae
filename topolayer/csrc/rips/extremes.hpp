// What tells a matrix of distances from one that is none.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "common/interrupt.hpp"
#include "common/sample.hpp"
#include "common/values.hpp"

namespace topolayer {

// The smallest and the largest entry off the diagonal, the largest absolute value on it, and the largest difference between two
// entries across it. The largest entry is infinite where one off the diagonal is not finite. A single point has no entries but
// one, which makes the diagonal NaN if it is not finite; all else is 0.
template <class Value>
struct DistanceExtremes {
    Value smallest, largest, diagonal, asymmetry;
};

// One pass over the matrix of a sample.
template <class Value>
class FindExtremes {
public:
    DistanceExtremes<Value> operator()(const Sample<Value>& sample, std::int64_t points) {
        Pace pace(sample.interrupt);
        const Value* const distances = sample.values;
        if (points == 1) return {0, 0, distances[0] - distances[0], 0};
        std::fill_n(least_, lanes, std::numeric_limits<Value>::infinity());
        std::fill_n(most_, lanes, -std::numeric_limits<Value>::infinity());
        std::fill_n(apart_, lanes, Value{0});
        std::fill_n(zero_, lanes, Value{0});
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
        if (!are_finite(zero_, lanes)) *most_ = std::numeric_limits<Value>::infinity();
        return {*std::min_element(least_, least_ + lanes), *std::max_element(most_, most_ + lanes), diagonal,
                *std::max_element(apart_, apart_ + lanes)};
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

    // Each lane has an extreme of its own: a single one of floats would have to be found one entry after the other.
    void look_at_blocks() {
        for (std::int64_t i = 0; i < side * side; i += lanes)
            for (std::int64_t lane = 0; lane < lanes; ++lane) {
                const Value a = block_[i + lane], b = across_[i + lane], apart = std::abs(a - b);
                const Value smaller = a < b ? a : b, larger = a < b ? b : a;
                least_[lane] = smaller < least_[lane] ? smaller : least_[lane];
                most_[lane] = larger > most_[lane] ? larger : most_[lane];
                apart_[lane] = apart > apart_[lane] ? apart : apart_[lane];
                zero_[lane] += (a - a) + (b - b);
            }
    }

    static constexpr std::int64_t lanes = 32 / sizeof(Value);

    Value block_[side * side], across_[side * side];
    Value least_[lanes], most_[lanes], apart_[lanes];
    Value zero_[lanes];  // NaN if an entry was not finite
};

}  // namespace topolayer
