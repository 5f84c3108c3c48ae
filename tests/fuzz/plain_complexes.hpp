// The textbook method for simplicial complexes, to compare with: the boundary matrix, column by column. See plain.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "plain.hpp"

namespace plain {

using Simplex = std::set<Index>;

// The simplices and all of their faces, and all of the vertices, by dimension.
inline std::vector<std::vector<Simplex>> closure(const std::vector<Simplex>& simplices, Index vertices) {
    std::vector<std::set<Simplex>> found(1);
    for (Index vertex = 0; vertex < vertices; ++vertex) found[0].insert({vertex});
    for (const Simplex& simplex : simplices) {
        const std::vector<Index> names(simplex.begin(), simplex.end());
        if (found.size() < names.size()) found.resize(names.size());
        for (unsigned chosen = 1; chosen < 1u << names.size(); ++chosen) {
            Simplex face;
            for (std::size_t i = 0; i < names.size(); ++i)
                if (chosen >> i & 1) face.insert(names[i]);
            found[face.size() - 1].insert(face);
        }
    }
    std::vector<std::vector<Simplex>> result;
    for (const auto& of_dimension : found) result.emplace_back(of_dimension.begin(), of_dimension.end());
    return result;
}

template <class Value>
std::vector<Index> places(const Value* values, Index count, bool superlevel) {
    const std::vector<Index> order = in_order(values, count, superlevel);
    std::vector<Index> place(count);
    for (Index i = 0; i < count; ++i) place[order[i]] = i;
    return place;
}

// `entry_of(dimension, number)` of the values at which a simplex enters; of one entry those of smaller dimension come first.
template <class Value, class EntryOf>
Bars complex_bars(const Value* values, Index count, const std::vector<std::vector<Simplex>>& simplices, bool superlevel, int dim,
                  EntryOf entry_of) {
    const std::vector<Index> order = in_order(values, count, superlevel), place = places(values, count, superlevel);
    std::vector<std::tuple<Index, std::size_t, std::size_t>> cells;  // the place of the entry, dimension, number
    for (std::size_t dimension = 0; dimension < simplices.size(); ++dimension)
        for (std::size_t number = 0; number < simplices[dimension].size(); ++number)
            cells.emplace_back(place[entry_of(dimension, number)], dimension, number);
    std::sort(cells.begin(), cells.end());
    std::map<Simplex, Index> rank;
    std::map<Index, std::set<Index>> columns;  // by their last rows
    std::map<Index, Index> death;
    std::set<Index> negative;
    for (Index now = 0; now < static_cast<Index>(cells.size()); ++now) {
        const auto& [_, dimension, number] = cells[now];
        const Simplex& simplex = simplices[dimension][number];
        rank[simplex] = now;
        std::set<Index> column;
        if (dimension > 0)
            for (const Index vertex : simplex) {
                Simplex facet = simplex;
                facet.erase(vertex);
                column.insert(rank.at(facet));
            }
        while (!column.empty() && columns.contains(*column.rbegin())) {
            const std::set<Index> other = columns[*column.rbegin()];
            for (const Index row : other)
                if (!column.insert(row).second) column.erase(row);
        }
        if (column.empty()) continue;
        negative.insert(now);
        death[*column.rbegin()] = now;
        columns[*column.rbegin()] = column;
    }
    Bars bars;
    std::vector<std::pair<Index, Index>> found;  // places of death and birth
    for (Index now = 0; now < static_cast<Index>(cells.size()); ++now) {
        const auto& [born, dimension, _] = cells[now];
        if (static_cast<int>(dimension) != dim || negative.contains(now)) continue;
        if (!death.contains(now))
            bars.essential.push_back(order[born]);
        else if (const Index dies = std::get<0>(cells[death[now]]); values[order[dies]] != values[order[born]])
            found.emplace_back(dies, born);
    }
    std::sort(found.begin(), found.end());
    for (const auto& [dies, born] : found) bars.finite.insert(bars.finite.end(), {order[born], order[dies]});
    return bars;
}

}  // namespace plain
