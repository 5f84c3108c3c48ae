// The textbook method for graphs, to compare with. See plain.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "plain.hpp"

namespace plain {

inline auto graph_neighbors(const std::vector<Index>& edges) {
    return [&edges](Index vertex, auto visit) {
        for (std::size_t i = 0; i < edges.size(); i += 2) {
            if (edges[i] == vertex) visit(edges[i + 1]);
            if (edges[i + 1] == vertex) visit(edges[i]);
        }
    };
}

template <class Value>
Bars graph_h0(const Value* values, Index count, const std::vector<Index>& edges, bool superlevel) {
    return h0(values, count, superlevel, graph_neighbors(edges));
}

// Loops: at each vertex as many as it has edges to earlier ones, less the components that these unite.
template <class Value>
Bars graph_h1(const Value* values, Index count, const std::vector<Index>& edges, bool superlevel) {
    const std::vector<Index> order = in_order(values, count, superlevel);
    std::vector<Index> place(count), loops(count);
    for (Index i = 0; i < count; ++i) place[order[i]] = i;
    std::set<std::pair<Index, Index>> places;
    for (std::size_t i = 0; i < edges.size(); i += 2)
        if (edges[i] != edges[i + 1]) places.insert(std::minmax(place[edges[i]], place[edges[i + 1]]));
    for (const auto& [earlier, later] : places) ++loops[later];
    for (const auto& [birth, death] : sweep(order, false, nullptr, graph_neighbors(edges))) --loops[place[death]];
    Bars bars;
    for (Index i = 0; i < count; ++i) bars.essential.insert(bars.essential.end(), loops[i], order[i]);
    return bars;
}

}  // namespace plain
