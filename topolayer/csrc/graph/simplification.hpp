// Simplification of functions on the vertices of a graph: see grid/simplification.hpp.
#pragma once

#include "common/buffer.hpp"
#include "common/cuts.hpp"
#include "common/merge_tree.hpp"
#include "common/sample.hpp"
#include "common/values.hpp"
#include "graph/graph.hpp"
#include "graph/persistence.hpp"

namespace topolayer {

// In the merge tree of a graph every vertex is a branch, which ends at once if the vertex has an earlier neighbor.
template <class Value, class Index>
class GraphSimplification {
public:
    // Writes the indices of the sample, in the batch. False if a value is not finite.
    bool operator()(const Sample<Value>& sample, const Graph& graph, const Kept& kept, Index* indices) {
        const MergeTree* tree = persistence_.tree(sample, graph);
        if (!tree) return false;
        const Buffer<Position>& cuts = cuts_.find(*tree, sample, kept);
        const Value* const values = sample.values;
        for (Label age = 0; age < tree->size(); ++age) {
            const Position vertex = (*tree)[age].extremum, cut = cuts[age];
            const bool is_earlier = sample.superlevel ? values[vertex] > values[cut] : values[vertex] < values[cut];
            indices[vertex] = static_cast<Index>(sample.first + (is_earlier ? cut : vertex));
        }
        return true;
    }

private:
    GraphPersistence<Value> persistence_;
    Cuts<Value> cuts_;
};

}  // namespace topolayer
