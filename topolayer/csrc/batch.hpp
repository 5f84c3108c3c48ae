// The computations of the core, each for a batch: samples of one size are spread over threads, and their bars brought together.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "common/bars.hpp"
#include "common/cuts.hpp"
#include "common/interrupt.hpp"
#include "common/matching.hpp"
#include "common/parallel.hpp"
#include "common/sample.hpp"
#include "common/values.hpp"
#include "common/workspace.hpp"
#include "complex/complex.hpp"
#include "complex/order.hpp"
#include "complex/persistence.hpp"
#include "graph/graph.hpp"
#include "graph/extended.hpp"
#include "graph/matching.hpp"
#include "graph/persistence.hpp"
#include "graph/simplification.hpp"
#include "grid/grid.hpp"
#include "grid/matching.hpp"
#include "grid/persistence.hpp"
#include "grid/simplification.hpp"
#include "rips/edges.hpp"
#include "rips/extremes.hpp"
#include "rips/h0.hpp"
#include "rips/loops.hpp"

namespace topolayer {

template <class Value>
struct Batch {
    const Value* values;
    std::int64_t samples, values_per_sample;
    bool superlevel;
    int threads;
    std::function<void()> check = [] {};  // see Interrupt
};

// The bars of all samples and dimensions, one after another. Indices are flat into the whole batch.
struct JoinedBars {
    std::vector<std::int64_t> indices, dims, samples;
};

struct BatchBars {
    JoinedBars finite, essential;
    bool all_finite = true;  // of the values: a sample where one is not has no bars
};

// Calls algorithm(number of the sample, the sample) for all samples; `make_algorithm` makes one per thread.
template <class Value, class MakeAlgorithm>
void for_each_sample(const Batch<Value>& batch, MakeAlgorithm make_algorithm) {
    Interrupt interrupt(batch.check);
    const int threads_each = threads_per_sample(batch.threads, batch.samples);
    for_each_task(batch.samples, batch.samples * batch.values_per_sample, batch.threads, interrupt, [&] {
        return [&, algorithm = make_algorithm()](std::int64_t number) mutable {
            const std::int64_t first = number * batch.values_per_sample;
            algorithm(number, Sample<Value>{batch.values + first, first, batch.superlevel, threads_each, interrupt});
            interrupt.look();
        };
    });
}

// Joins the finite or the essential bars, as `part` says. The indices of a single sample and dimension are moved.
inline JoinedBars joined(std::span<Bars> found, std::vector<std::int64_t> Bars::*part, std::size_t indices_per_bar,
                         std::span<const int> dims, std::int64_t values_per_sample) {
    JoinedBars result;
    std::size_t size = 0;
    for (const Bars& bars : found) size += (bars.*part).size();
    if (found.size() > 1) result.indices.reserve(size);
    result.dims.reserve(size / indices_per_bar);
    result.samples.reserve(size / indices_per_bar);
    for (std::size_t i = 0; i < found.size(); ++i) {
        std::vector<std::int64_t>& indices = found[i].*part;
        const auto sample = static_cast<std::int64_t>(i / dims.size());
        const std::size_t bars = result.samples.size() + indices.size() / indices_per_bar;
        result.dims.resize(bars, dims[i % dims.size()]);
        result.samples.resize(bars, sample);
        if (found.size() == 1)
            result.indices = std::move(indices);
        else
            for (const std::int64_t index : indices) result.indices.push_back(sample * values_per_sample + index);
    }
    return result;
}

inline BatchBars joined(std::span<Bars> found, std::span<const int> dims, std::int64_t values_per_sample) {
    BatchBars result;
    for (const Bars& bars : found) result.all_finite &= !bars.nonfinite;
    result.finite = joined(found, &Bars::finite, 2, dims, values_per_sample);
    result.essential = joined(found, &Bars::essential, 1, dims, values_per_sample);
    return result;
}

// Calls algorithm(sample, its bars in each of the dimensions) for all samples.
template <class Value, class MakeAlgorithm>
BatchBars find_bars(const Batch<Value>& batch, std::span<const int> dims, MakeAlgorithm make_algorithm) {
    std::vector<Bars> found(static_cast<std::size_t>(batch.samples) * dims.size());
    for_each_sample(batch, [&] {
        return [&, algorithm = make_algorithm()](std::int64_t number, const Sample<Value>& sample) mutable {
            algorithm(sample, &found[static_cast<std::size_t>(number) * dims.size()]);
        };
    });
    return joined(found, dims, batch.values_per_sample);
}

template <class Value>
void check_size(const Batch<Value>& batch, std::int64_t values_per_sample) {
    if (batch.values_per_sample != values_per_sample)
        throw std::invalid_argument("the values of a sample do not fill what they are given on");
}

// The bars of two batches, and the pairs of indices of those that are matched, one after another.
struct BatchMatching {
    BatchBars first, second;
    std::vector<std::int64_t> pairs;
};

// Calls algorithm(sample, the one of the second batch, their bars and pairs in each of the dimensions) for all samples.
template <class Value, class MakeAlgorithm>
BatchMatching find_matching(const Batch<Value>& first, const Batch<Value>& second, std::span<const int> dims,
                            MakeAlgorithm make_algorithm) {
    if (first.samples != second.samples || first.values_per_sample != second.values_per_sample)
        throw std::invalid_argument("the two batches differ in shape");
    std::vector<MatchedBars> found(static_cast<std::size_t>(first.samples) * dims.size());
    for_each_sample(first, [&] {
        return [&, algorithm = make_algorithm()](std::int64_t number, const Sample<Value>& sample) mutable {
            Sample<Value> other = sample;
            other.values = second.values + sample.first;
            algorithm(sample, other, &found[static_cast<std::size_t>(number) * dims.size()]);
        };
    });
    std::vector<Bars> firsts, seconds;
    BatchMatching result;
    std::int64_t firsts_before = 0, seconds_before = 0;
    for (MatchedBars& bars : found) {
        for (std::size_t i = 0; i < bars.pairs.size(); i += 2) {
            result.pairs.push_back(firsts_before + bars.pairs[i]);
            result.pairs.push_back(seconds_before + bars.pairs[i + 1]);
        }
        firsts_before += static_cast<std::int64_t>(bars.first.finite.size() / 2);
        seconds_before += static_cast<std::int64_t>(bars.second.finite.size() / 2);
        firsts.push_back(std::move(bars.first));
        seconds.push_back(std::move(bars.second));
    }
    result.first = joined(firsts, dims, first.values_per_sample);
    result.second = joined(seconds, dims, first.values_per_sample);
    return result;
}

// `dims` ascend.
template <class Value>
BatchMatching grid_matching(const Batch<Value>& first, const Batch<Value>& second, const Grid& grid, Comparison comparison,
                            std::span<const int> dims) {
    check_size(first, grid.size());
    const GridAndDual grids(grid);
    return find_matching(first, second, dims, [&] {
        return [&, matching = Workspace<GridMatching<Value>>()](const Sample<Value>& sample, const Sample<Value>& other,
                                                                MatchedBars* found) mutable {
            (*matching)(sample, other, grids, dims, comparison, found);
        };
    });
}

// In dimension 0.
template <class Value>
BatchMatching graph_matching(const Batch<Value>& first, const Batch<Value>& second, const Graph& graph, Comparison comparison) {
    check_size(first, static_cast<std::int64_t>(graph.size()));
    static constexpr int dims[] = {0};
    return find_matching(first, second, dims, [&] {
        return [&, matching = GraphMatching<Value>()](const Sample<Value>& sample, const Sample<Value>& other,
                                                      MatchedBars* found) mutable {
            matching(sample, other, graph, comparison, *found);
        };
    });
}

// `dims` ascend: 0 and the number of axes less one, or one of them.
template <class Value>
BatchBars grid_bars(const Batch<Value>& batch, const Grid& grid, std::span<const int> dims) {
    check_size(batch, grid.size());
    const Grid dual = grid.dual();
    return find_bars(batch, dims, [&] {
        return [&, persistence = Workspace<GridPersistence<Value>>()](const Sample<Value>& sample, Bars* bars) mutable {
            (*persistence)(sample, grid, dual, dims, bars);
        };
    });
}

// `dims` ascend: 0, 1 or both.
template <class Value>
BatchBars graph_bars(const Batch<Value>& batch, const Graph& graph, std::span<const int> dims) {
    check_size(batch, static_cast<std::int64_t>(graph.size()));
    return find_bars(batch, dims, [&] {
        return [&, persistence = GraphPersistence<Value>()](const Sample<Value>& sample, Bars* bars) mutable {
            persistence(sample, graph, dims, bars);
        };
    });
}

// Finds the bars of extended persistence. What the result calls dimensions are kinds, see ExtendedKind.
template <class Value>
BatchBars extended_graph_bars(const Batch<Value>& batch, const Graph& graph) {
    check_size(batch, static_cast<std::int64_t>(graph.size()));
    return find_bars(batch, extended_kinds, [&] {
        return [&, persistence = ExtendedPersistence<Value>()](const Sample<Value>& sample, Bars* bars) mutable {
            persistence(sample, graph, bars);
        };
    });
}

// `dims` ascend. There may be values of cells of higher dimensions, which are not looked at but to see that they are finite.
template <class Value>
BatchBars complex_bars(const Batch<Value>& batch, const Complex& complex, ValueOf value_of, bool is_ball,
                       std::span<const int> dims) {
    const auto cells = static_cast<std::int64_t>(value_of == ValueOf::cells ? complex.size() : complex.size(0));
    check_size(batch, value_of == ValueOf::cells ? std::max(cells, batch.values_per_sample) : cells);
    return find_bars(batch, dims, [&] {
        return [&, persistence = ComplexPersistence<Value>()](const Sample<Value>& sample, Bars* bars) mutable {
            bars[0].nonfinite = !are_finite(sample.values, batch.values_per_sample);
            if (!bars[0].nonfinite) persistence(sample, complex, value_of, is_ball, dims, bars);
        };
    });
}

// Finds the bars of matrices of distances in `dims`, ascending: 0, 1, or both.
template <class Value>
BatchBars rips_bars(const Batch<Value>& batch, std::int64_t points, double threshold, std::span<const int> dims) {
    check_size(batch, points * points);
    const auto longest = rounded<Value>(threshold);
    if (dims.back() == 0)
        return find_bars(batch, dims, [&] {
            return [&, h0 = Workspace<RipsH0<Value>>()](const Sample<Value>& sample, Bars* bars) mutable {
                (*h0)(sample, points, longest, *bars);
            };
        });
    if (points > most_points_of_loops) throw std::invalid_argument("there are too many points");
    return find_bars(batch, dims, [&] {
        return [&, loops = Workspace<RipsLoops<Value>>()](const Sample<Value>& sample, Bars* bars) mutable {
            (*loops)(sample, points, longest, dims, bars);
        };
    });
}

// Writes four numbers for each matrix of distances, of two points or more; see DistanceExtremes.
template <class Value>
void rips_extremes(const Batch<Value>& batch, std::int64_t points, std::span<Value> extremes) {
    check_size(batch, points * points);
    if (points < 2 || static_cast<std::int64_t>(extremes.size()) != 4 * batch.samples)
        throw std::invalid_argument("there must be two points or more, and four numbers for each sample");
    for_each_sample(batch, [&] {
        return [&, find = FindExtremes<Value>()](std::int64_t number, const Sample<Value>& sample) mutable {
            const auto [smallest, largest, diagonal, asymmetry] = find(sample, points);
            Value* const mine = &extremes[static_cast<std::size_t>(4 * number)];
            mine[0] = smallest;
            mine[1] = largest;
            mine[2] = diagonal;
            mine[3] = asymmetry;
        };
    });
}

// Writes an index for each value, and says whether all values were finite: a sample where one is not has no indices.
// Calls algorithm(sample, indices of the sample), which says the same of a sample.
template <class Value, class Index, class MakeAlgorithm>
bool write_indices(const Batch<Value>& batch, std::span<Index> indices, MakeAlgorithm make_algorithm) {
    if (static_cast<std::int64_t>(indices.size()) != batch.samples * batch.values_per_sample)
        throw std::invalid_argument("there must be one index for each value");
    if (!indices.empty() && indices.size() - 1 > static_cast<std::size_t>(std::numeric_limits<Index>::max()))
        throw std::invalid_argument("an index does not fit in its type");
    std::atomic<bool> all_finite = true;
    for_each_sample(batch, [&] {
        return [&, algorithm = make_algorithm()](std::int64_t, const Sample<Value>& sample) mutable {
            if (!algorithm(sample, indices.data() + sample.first)) all_finite = false;
        };
    });
    return all_finite;
}

template <class Value, class Index>
bool simplify_grid(const Batch<Value>& batch, const Grid& grid, const Kept& kept, std::span<Index> indices) {
    check_size(batch, grid.size());
    return write_indices(batch, indices, [&] {
        return [&, persistence = Workspace<GridPersistence<Value>>(),
                simplify = Workspace<GridSimplification<Value, Index>>()](const Sample<Value>& sample,
                                                                          Index* first) mutable {
            return (*simplify)(sample, grid, kept, *persistence, first);
        };
    });
}

template <class Value, class Index>
bool simplify_graph(const Batch<Value>& batch, const Graph& graph, const Kept& kept, std::span<Index> indices) {
    check_size(batch, static_cast<std::int64_t>(graph.size()));
    return write_indices(batch, indices, [&] {
        return [&, simplify = GraphSimplification<Value, Index>()](const Sample<Value>& sample, Index* first) mutable {
            return simplify(sample, graph, kept, first);
        };
    });
}

}  // namespace topolayer
