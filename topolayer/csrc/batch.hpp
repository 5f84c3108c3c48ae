// The computations of the core, each for a batch: samples are spread over threads, and their bars brought together.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
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
    std::vector<std::int64_t> offsets;  // where the values of each sample begin, and where those of the last one end
    bool superlevel;
    int threads;
    std::function<void()> check = [] {};  // see Interrupt

    std::int64_t samples() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
    std::int64_t size() const { return offsets.back(); }
    std::int64_t size_of(std::int64_t number) const { return offsets[number + 1] - offsets[number]; }
};

inline std::vector<std::int64_t> offsets_of_one_size(std::int64_t samples, std::int64_t values_per_sample) {
    std::vector<std::int64_t> offsets(static_cast<std::size_t>(samples) + 1);
    for (std::int64_t number = 0; number <= samples; ++number) offsets[number] = number * values_per_sample;
    return offsets;
}

// The bars of all samples and dimensions, one after another. Indices are flat into the whole batch.
struct JoinedBars {
    std::vector<std::int64_t> indices, dims, samples;
};

struct BatchBars {
    JoinedBars finite, essential;
    bool all_finite = true;  // of the values: a sample where one is not has no bars
};

// Calls algorithm(sample) for all samples that have values; `make_algorithm` makes one per thread.
template <class Value, class MakeAlgorithm>
void for_each_sample(const Batch<Value>& batch, MakeAlgorithm make_algorithm) {
    Interrupt interrupt(batch.check);
    const int threads_each = threads_per_sample(batch.threads, batch.samples());
    for_each_task(batch.samples(), batch.size(), batch.threads, interrupt, [&] {
        return [&, algorithm = make_algorithm()](std::int64_t number) mutable {
            const std::int64_t first = batch.offsets[number], size = batch.size_of(number);
            if (size == 0) return;
            algorithm(Sample<Value>{batch.values + first, size, first, number, batch.superlevel, threads_each, interrupt});
            interrupt.look();
        };
    });
}

// Joins the finite or the essential bars, as `part` says. The indices of a single sample and dimension are moved.
inline JoinedBars joined(std::span<Bars> found, std::vector<std::int64_t> Bars::*part, std::size_t indices_per_bar,
                         std::span<const int> dims, std::span<const std::int64_t> offsets) {
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
            for (const std::int64_t index : indices) result.indices.push_back(offsets[sample] + index);
    }
    return result;
}

inline BatchBars joined(std::span<Bars> found, std::span<const int> dims, std::span<const std::int64_t> offsets) {
    BatchBars result;
    for (const Bars& bars : found) result.all_finite &= !bars.nonfinite;
    result.finite = joined(found, &Bars::finite, 2, dims, offsets);
    result.essential = joined(found, &Bars::essential, 1, dims, offsets);
    return result;
}

// Calls algorithm(sample, its bars in each of the dimensions) for all samples.
template <class Value, class MakeAlgorithm>
BatchBars find_bars(const Batch<Value>& batch, std::span<const int> dims, MakeAlgorithm make_algorithm) {
    std::vector<Bars> found(static_cast<std::size_t>(batch.samples()) * dims.size());
    for_each_sample(batch, [&] {
        return [&, algorithm = make_algorithm()](const Sample<Value>& sample) mutable {
            algorithm(sample, &found[static_cast<std::size_t>(sample.number) * dims.size()]);
        };
    });
    return joined(found, dims, batch.offsets);
}

template <class Value>
void check_size(const Batch<Value>& batch, std::int64_t values_per_sample) {
    for (std::int64_t number = 0; number < batch.samples(); ++number)
        if (batch.size_of(number) != values_per_sample)
            throw std::invalid_argument("the values of a sample do not fill what they are given on");
}

// The graph of each sample: one that all have in common, or one for each, which is made when its turn comes.
template <class Value>
class Graphs {
public:
    Graphs(const Batch<Value>& batch, const Edges& edges) : edges_(edges), is_common_(edges.graphs() == 1) {
        if (!is_common_ && edges.graphs() != batch.samples())
            throw std::invalid_argument("there must be one graph, or one for each sample");
        if (!is_common_ || batch.samples() == 0) return;
        check_size(batch, batch.size_of(0));
        common_.read(batch.size_of(0), edges.ends);
    }

    const Graph& of(const Sample<Value>& sample, Graph& own) const {
        if (is_common_) return common_;
        own.read(sample.size, edges_.of(sample.number));
        return own;
    }

private:
    Edges edges_;
    bool is_common_;
    Graph common_;
};

// The bars of two batches, and the pairs of indices of those that are matched, one after another.
struct BatchMatching {
    BatchBars first, second;
    std::vector<std::int64_t> pairs;
};

// Calls algorithm(sample, the one of the second batch, their bars and pairs in each of the dimensions) for all samples.
template <class Value, class MakeAlgorithm>
BatchMatching find_matching(const Batch<Value>& first, const Batch<Value>& second, std::span<const int> dims,
                            MakeAlgorithm make_algorithm) {
    if (first.offsets != second.offsets) throw std::invalid_argument("the two batches differ in shape");
    std::vector<MatchedBars> found(static_cast<std::size_t>(first.samples()) * dims.size());
    for_each_sample(first, [&] {
        return [&, algorithm = make_algorithm()](const Sample<Value>& sample) mutable {
            Sample<Value> other = sample;
            other.values = second.values + sample.first;
            algorithm(sample, other, &found[static_cast<std::size_t>(sample.number) * dims.size()]);
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
    result.first = joined(firsts, dims, first.offsets);
    result.second = joined(seconds, dims, first.offsets);
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
BatchMatching graph_matching(const Batch<Value>& first, const Batch<Value>& second, const Edges& edges, Comparison comparison) {
    const Graphs<Value> graphs(first, edges);
    static constexpr int dims[] = {0};
    return find_matching(first, second, dims, [&] {
        return [&, own = Graph(), matching = GraphMatching<Value>()](const Sample<Value>& sample, const Sample<Value>& other,
                                                                     MatchedBars* found) mutable {
            matching(sample, other, graphs.of(sample, own), comparison, *found);
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
BatchBars graph_bars(const Batch<Value>& batch, const Edges& edges, std::span<const int> dims) {
    const Graphs<Value> graphs(batch, edges);
    return find_bars(batch, dims, [&] {
        return [&, own = Graph(), persistence = GraphPersistence<Value>()](const Sample<Value>& sample, Bars* bars) mutable {
            persistence(sample, graphs.of(sample, own), dims, bars);
        };
    });
}

// Finds the bars of extended persistence. What the result calls dimensions are kinds, see ExtendedKind.
template <class Value>
BatchBars extended_graph_bars(const Batch<Value>& batch, const Edges& edges) {
    const Graphs<Value> graphs(batch, edges);
    return find_bars(batch, extended_kinds, [&] {
        return [&, own = Graph(), persistence = ExtendedPersistence<Value>()](const Sample<Value>& sample, Bars* bars) mutable {
            persistence(sample, graphs.of(sample, own), bars);
        };
    });
}

// `dims` ascend. There is a complex for all samples, or one for each. There may be values of cells of higher dimensions, which
// are not looked at but to see that they are finite.
template <class Value>
BatchBars complex_bars(const Batch<Value>& batch, std::span<const Complex> complexes, ValueOf value_of, bool is_ball,
                       std::span<const int> dims) {
    const auto samples = static_cast<std::size_t>(batch.samples());
    if (complexes.size() != 1 && complexes.size() != samples)
        throw std::invalid_argument("there must be one complex, or one for each sample");
    const auto complex_of = [&](std::int64_t number) -> const Complex& { return complexes[complexes.size() == 1 ? 0 : number]; };
    for (std::int64_t number = 0; number < batch.samples(); ++number) {
        const Complex& complex = complex_of(number);
        const auto cells = static_cast<std::int64_t>(value_of == ValueOf::cells ? complex.size() : complex.size(0));
        const std::int64_t values = batch.size_of(number);
        if (value_of == ValueOf::cells ? values < cells : values != cells)
            throw std::invalid_argument("the values of a sample do not fill what they are given on");
    }
    return find_bars(batch, dims, [&] {
        return [&, persistence = ComplexPersistence<Value>()](const Sample<Value>& sample, Bars* bars) mutable {
            bars[0].nonfinite = !are_finite(sample.values, sample.size);
            if (!bars[0].nonfinite) persistence(sample, complex_of(sample.number), value_of, is_ball, dims, bars);
        };
    });
}

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

// Writes an index for each value, and says whether all values were finite: a sample where one is not has no indices.
// Calls algorithm(sample, indices of the sample), which says the same of a sample.
template <class Value, class Index, class MakeAlgorithm>
bool write_indices(const Batch<Value>& batch, std::span<Index> indices, MakeAlgorithm make_algorithm) {
    if (static_cast<std::int64_t>(indices.size()) != batch.size())
        throw std::invalid_argument("there must be one index for each value");
    if (!indices.empty() && indices.size() - 1 > static_cast<std::size_t>(std::numeric_limits<Index>::max()))
        throw std::invalid_argument("an index does not fit in its type");
    std::atomic<bool> all_finite = true;
    for_each_sample(batch, [&] {
        return [&, algorithm = make_algorithm()](const Sample<Value>& sample) mutable {
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
bool simplify_graph(const Batch<Value>& batch, const Edges& edges, const Kept& kept, std::span<Index> indices) {
    const Graphs<Value> graphs(batch, edges);
    return write_indices(batch, indices, [&] {
        return [&, own = Graph(), simplify = GraphSimplification<Value, Index>()](const Sample<Value>& sample,
                                                                                  Index* first) mutable {
            return simplify(sample, graphs.of(sample, own), kept, first);
        };
    });
}

}  // namespace topolayer
