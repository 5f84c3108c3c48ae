// The textbook method for graphs, to compare with. See plain.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <tuple>
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

// Extended persistence: the boundary matrix of the graph and its cone, without the apex, column by column. The bars of each
// kind: ordinary, extended of components, relative, extended of loops.
template <class Value>
std::vector<Bars> extended_graph(const Value* values, Index count, const std::vector<Index>& edges, bool superlevel) {
    std::vector<Index> order[2] = {in_order(values, count, superlevel), in_order(values, count, !superlevel)};
    std::vector<std::array<Index, 4>> cells;  // in the cone or not, the place of its last vertex, its vertices or the same twice
    std::set<std::pair<Index, Index>> graph;
    for (Index i = 0; i < count; ++i) graph.emplace(i, i);
    for (std::size_t i = 0; i < edges.size(); i += 2) graph.insert(std::minmax(edges[i], edges[i + 1]));
    for (const Index cone : {0, 1}) {
        std::vector<Index> place(count);
        for (Index i = 0; i < count; ++i) place[order[cone][i]] = i;
        for (const auto& [a, b] : graph) cells.push_back({cone, std::max(place[a], place[b]), a, b});
    }
    std::stable_sort(cells.begin(), cells.end(), [](const auto& one, const auto& other) {
        return std::tuple(one[0], one[1], one[2] != one[3]) < std::tuple(other[0], other[1], other[2] != other[3]);
    });
    std::map<std::array<Index, 3>, Index> number;
    std::map<Index, std::set<Index>> columns;        // by their last entry
    std::vector<std::pair<Index, Index>> deaths[4];  // places of death and birth
    for (const auto& [cone, place, a, b] : cells) {
        number.emplace(std::array{cone, a, b}, static_cast<Index>(number.size()));
        std::set<Index> column;
        if (a != b) column = {number[{cone, a, a}], number[{cone, b, b}]};
        if (cone) column.insert(number[{0, a, b}]);
        while (!column.empty() && columns.contains(*column.rbegin()))
            for (const Index entry : std::set(columns[*column.rbegin()]))
                if (!column.insert(entry).second) column.erase(entry);
        if (column.empty()) continue;
        const Index last = *column.rbegin();
        columns[last] = column;
        const auto& [birth_cone, birth_place, c, d] = cells[last];
        deaths[birth_cone ? 2 : (c != d ? 2 : 0) + cone].emplace_back(place, birth_place);
    }
    std::vector<Bars> bars(4);
    for (int kind = 0; kind < 4; ++kind) {
        std::sort(deaths[kind].begin(), deaths[kind].end());
        for (const auto& [death, birth] : deaths[kind]) {
            const Index ends[] = {order[kind == 2][birth], order[kind > 0][death]};
            if (values[ends[0]] != values[ends[1]]) bars[kind].finite.insert(bars[kind].finite.end(), ends, ends + 2);
        }
    }
    return bars;
}

}  // namespace plain
