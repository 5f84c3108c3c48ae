// Barcodes of matrices of distances and what checks them, each for a batch.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <stdexcept>

#include "common/batch.hpp"
#include "common/values.hpp"
#include "common/workspace.hpp"
#include "rips/edges.hpp"
#include "rips/extremes.hpp"
#include "rips/h0.hpp"
#include "rips/loops.hpp"

namespace topolayer {

// How many points there are, of so many distances.
inline std::int64_t points_of(std::int64_t distances) {
    const std::int64_t points = std::llround(std::sqrt(static_cast<double>(distances)));
    if (points * points != distances) throw std::invalid_argument("the values of a sample do not fill a matrix");
    return points;
}

template <class Value>
std::int64_t most_points(const Batch<Value>& batch) {
    std::int64_t most = 0;
    for (std::int64_t number = 0; number < batch.samples(); ++number) most = std::max(most, points_of(batch.size_of(number)));
    return most;
}

// Finds the bars of matrices of distances in `dims`, ascending: 0, 1, or both.
template <class Value>
BatchBars rips_bars(const Batch<Value>& batch, double threshold, std::span<const int> dims) {
    const std::int64_t most = most_points(batch);
    const auto longest = rounded<Value>(threshold);
    if (dims.back() == 0)
        return find_bars(batch, dims, [&] {
            return [&, h0 = Workspace<RipsH0<Value>>()](const Sample<Value>& sample, Bars* bars) mutable {
                (*h0)(sample, points_of(sample.size), longest, *bars);
            };
        });
    if (most > most_points_of_loops) throw std::invalid_argument("there are too many points");
    return find_bars(batch, dims, [&] {
        return [&, loops = Workspace<RipsLoops<Value>>()](const Sample<Value>& sample, Bars* bars) mutable {
            (*loops)(sample, points_of(sample.size), longest, dims, bars);
        };
    });
}

// Writes four numbers for each matrix of distances, of one point or more; see DistanceExtremes.
template <class Value>
void rips_extremes(const Batch<Value>& batch, std::span<Value> extremes) {
    most_points(batch);
    if (static_cast<std::int64_t>(extremes.size()) != 4 * batch.samples())
        throw std::invalid_argument("there must be four numbers for each sample");
    for_each_sample(batch, [&] {
        return [&, find = FindExtremes<Value>()](const Sample<Value>& sample) mutable {
            const auto [smallest, largest, diagonal, asymmetry] = find(sample, points_of(sample.size));
            Value* const mine = &extremes[static_cast<std::size_t>(4 * sample.number)];
            mine[0] = smallest;
            mine[1] = largest;
            mine[2] = diagonal;
            mine[3] = asymmetry;
        };
    });
}

}  // namespace topolayer
