// Barcodes, simplifications and matchings of graphs, each for a batch.
#pragma once

#include <span>
#include <stdexcept>

#include "common/batch.hpp"
#include "common/cuts.hpp"
#include "common/matching.hpp"
#include "graph/extended.hpp"
#include "graph/graph.hpp"
#include "graph/matching.hpp"
#include "graph/persistence.hpp"
#include "graph/simplification.hpp"

namespace topolayer {

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

}  // namespace topolayer
