// The one place where the fuzz target touches the core: every algorithm as a function from a batch to its bars.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/bars.hpp"
#include "grid/extremum_graph.hpp"
#include "graph/h0.hpp"
#include "grid/grid.hpp"
#include "common/merge_tree.hpp"
#include "common/parallel.hpp"
#include "rips/h0.hpp"
#include "grid/simplification.hpp"
#include "common/workspace.hpp"

namespace core {

using topolayer::Bars;
using topolayer::Connectivity;

// One `Bars` for each sample and dimension; `dims`, ascending, is of 0 and the top one.
template <class Value>
std::vector<Bars> grid(const std::vector<Value>& values, const std::vector<std::int64_t>& shape,
                       Connectivity connectivity, bool superlevel, const std::vector<int>& dims, int threads) {
    const topolayer::Grid primal(shape, connectivity), reversed(shape, topolayer::dual(connectivity));
    const std::int64_t size = primal.size(), samples = static_cast<std::int64_t>(values.size()) / size;
    std::vector<Bars> bars(samples * dims.size());
    const int threads_each = topolayer::threads_per_sample(threads, samples);
    topolayer::Interrupt interrupt;
    topolayer::for_each_task(samples, samples * size, threads, interrupt, [&] {
        return [&, graph = topolayer::Workspace<topolayer::ExtremumGraph<Value>>()](std::int64_t sample) mutable {
            const Value* of_sample = &values[sample * size];
            Bars* next = &bars[sample * dims.size()];
            if (dims.size() == 2)
                graph->h0_and_top(of_sample, primal, reversed, superlevel, threads_each, next[0], next[1], interrupt);
            else if (dims.front() == 0)
                graph->h0(of_sample, primal, superlevel, threads_each, *next, interrupt);
            else
                graph->top(of_sample, reversed, superlevel, threads_each, *next, interrupt);
        };
    });
    return bars;
}

// Which value each one takes, of one sample; empty if a value is not finite.
template <class Value>
std::vector<std::int32_t> simplified(const std::vector<Value>& values, const std::vector<std::int64_t>& shape,
                                     Connectivity connectivity, bool superlevel, std::int64_t most, Value shortest,
                                     int threads) {
    std::vector<std::int32_t> indices(values.size());
    topolayer::Interrupt interrupt;
    topolayer::Workspace<topolayer::ExtremumGraph<Value>> graph;
    topolayer::Workspace<topolayer::GridSimplification<Value, std::int32_t>> simplification;
    const bool all_finite =
        (*simplification)(values.data(), topolayer::Grid(shape, connectivity), superlevel, {most, shortest}, threads, 0,
                          indices.data(), *graph, interrupt);
    return all_finite ? indices : std::vector<std::int32_t>();
}

// Of one sample. Throws std::invalid_argument for an edge with a vertex that is not there.
template <class Value>
Bars graph_h0(const std::vector<Value>& values, const std::vector<std::int64_t>& edges, bool superlevel) {
    Bars bars;
    topolayer::Interrupt interrupt;
    topolayer::GraphH0<Value>()(values.data(), topolayer::Graph(values.size(), edges), superlevel, bars, interrupt);
    return bars;
}

// Of one matrix.
template <class Value>
Bars rips_h0(const std::vector<Value>& distances, std::int64_t points, Value threshold) {
    Bars bars;
    topolayer::Interrupt interrupt;
    topolayer::RipsH0<Value>()(distances.data(), points, threshold, bars, interrupt);
    return bars;
}

}  // namespace core
