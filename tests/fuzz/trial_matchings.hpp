// Trials of induced matchings, for the fuzz target.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "graph/batch.hpp"
#include "grid/batch.hpp"
#include "plain.hpp"
#include "plain_matchings.hpp"
#include "trial.hpp"

// The bars that are matched: sample, dimension, birth and death in the one function, and in the other.
inline std::vector<std::pair<std::int64_t, plain::Pair>> pairs_of(const topolayer::BatchMatching& found, std::int64_t size) {
    std::vector<std::pair<std::int64_t, plain::Pair>> pairs;
    for (std::size_t i = 0; i < found.pairs.size(); i += 2) {
        const auto a = static_cast<std::size_t>(found.pairs[i]), b = static_cast<std::size_t>(found.pairs[i + 1]);
        const auto &one = found.first.finite, &other = found.second.finite;
        const std::int64_t sample = one.samples.at(a), start = sample * size;
        expect(other.samples.at(b) == sample && other.dims.at(b) == one.dims.at(a), "samples and dimensions of matched bars");
        pairs.push_back({sample, {one.dims[a], one.indices[2 * a] - start, one.indices[2 * a + 1] - start,
                                  other.indices[2 * b] - start, other.indices[2 * b + 1] - start}});
    }
    std::sort(pairs.begin(), pairs.end());
    return pairs;
}

// Two functions: the second is the rest of the values. `bars` finds those of a batch.
template <class Value>
void try_matching(Bytes& in, const plain::Complex& complex, std::int64_t size, const std::vector<int>& dims, auto match, auto bars) {
    Trial<Value> trial(in, size), other(in, size);
    other.values().resize(trial.values().size());
    const int among = in.byte();
    for (std::size_t i = 0; i < other.values().size(); ++i)
        if (in.byte() < among) other.values()[i] = trial.values()[i];
    const bool superlevel = in.byte() % 2, is_union = in.byte() % 2;
    const auto comparison = is_union ? topolayer::Comparison::union_ : topolayer::Comparison::intersection;
    const auto first = trial.batch(superlevel);
    auto second = first;
    second.values = other.values().data();
    const auto found = with_little_memory_first(in, [&] { return match(first, second, comparison); });
    const bool finite = all_finite(trial.values().data(), trial.values().size()) &&
                        all_finite(other.values().data(), other.values().size());
    expect(found.first.all_finite == finite && found.second.all_finite == finite, "whether all is finite, of two functions");
    if (!finite) return;
    const std::pair both{bars(first), bars(second)};
    for (const auto part : {&topolayer::BatchBars::finite, &topolayer::BatchBars::essential}) {
        expect((found.first.*part).indices == (both.first.*part).indices, "bars of the first of two functions");
        expect((found.second.*part).indices == (both.second.*part).indices, "bars of the second of two functions");
    }
    std::vector<std::pair<std::int64_t, plain::Pair>> expected;
    for (std::int64_t number = 0; number < trial.samples(); ++number)
        for (const auto& pair : plain::matched(complex, trial.sample(number), second.values + number * size,
                                               static_cast<std::size_t>(size), superlevel, is_union))
            if (std::find(dims.begin(), dims.end(), pair[0]) != dims.end()) expected.push_back({number, pair});
    std::sort(expected.begin(), expected.end());
    expect(pairs_of(found, size) == expected, "matched bars");
}

template <class Value>
void try_grid_matching(Bytes& in) {
    const int options = in.byte();
    const auto connectivity = static_cast<topolayer::Connectivity>(options % 3);
    std::vector<std::int64_t> shape(1 + in.upto(2));
    std::int64_t size = 1;
    for (std::int64_t& side : shape) size *= side = 1 + in.upto(shape.size() == 1 ? 30 : shape.size() == 2 ? 7 : 3);
    const int top = static_cast<int>(shape.size()) - 1;
    std::vector<int> dims{0};
    if (top > 0 && options & 128) dims.push_back(top);
    if (top > 0 && !(options & 128) && options & 32) dims = {top};
    if (top == 2 && in.byte() % 2) dims = options & 128 ? std::vector{0, 1, 2} : std::vector{1};
    const topolayer::Grid grid(shape, connectivity);
    try_matching<Value>(
        in, plain::grid_complex(shape, static_cast<plain::Adjacency>(options % 3)), size, dims,
        [&](const auto& first, const auto& second, auto comparison) {
            return topolayer::grid_matching(first, second, grid, comparison, dims);
        },
        [&](const auto& batch) { return topolayer::grid_bars(batch, grid, dims); });
}

template <class Value>
void try_graph_matching(Bytes& in) {
    const int vertices = 1 + in.upto(30), edges = in.upto(60);
    std::vector<std::int64_t> ends(2 * edges);
    for (std::int64_t& end : ends) end = in.upto(vertices - 1);
    const std::int64_t offsets[] = {0, edges};
    const topolayer::Edges graph{ends, offsets};
    const std::vector<int> dims{0};
    try_matching<Value>(
        in, plain::graph_complex(vertices, ends), vertices, dims,
        [&](const auto& first, const auto& second, auto comparison) {
            return topolayer::graph_matching(first, second, graph, comparison);
        },
        [&](const auto& batch) { return topolayer::graph_bars(batch, graph, dims); });
}
