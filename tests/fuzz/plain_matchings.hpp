// Induced matchings by their definition: boundary matrices with rows in the order of one function, columns in that of another.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include "plain.hpp"

namespace plain {

// A cell by the entries of the values that it lies at, of which the last one counts, or in a complex of top cells the first one.
struct Piece {
    int dim;
    std::vector<Index> entries, faces;  // faces by their numbers
};

struct Complex {
    std::vector<Piece> pieces;  // in C order of their places, or in the order of their vertices
    bool first_counts = false;
};

// Simplices, whose faces are among them, by their vertices.
inline Complex simplicial(const std::set<std::pair<std::size_t, std::vector<Index>>>& simplices) {
    Complex complex;
    std::map<std::vector<Index>, Index> numbers;
    for (const auto& [size, vertices] : simplices) {
        Piece piece{static_cast<int>(size) - 1, vertices, {}};
        for (std::size_t left_out = 0; size > 1 && left_out < size; ++left_out) {
            auto face = vertices;
            face.erase(face.begin() + static_cast<std::ptrdiff_t>(left_out));
            piece.faces.push_back(numbers.at(face));
        }
        numbers[vertices] = static_cast<Index>(complex.pieces.size());
        complex.pieces.push_back(piece);
    }
    return complex;
}

inline Complex graph_complex(Index vertices, const std::vector<Index>& edges) {
    std::set<std::pair<std::size_t, std::vector<Index>>> simplices;
    for (Index vertex = 0; vertex < vertices; ++vertex) simplices.insert({1, {vertex}});
    for (std::size_t i = 0; i < edges.size(); i += 2)
        if (edges[i] != edges[i + 1])
            simplices.insert({2, {std::min(edges[i], edges[i + 1]), std::max(edges[i], edges[i + 1])}});
    return simplicial(simplices);
}

inline Complex grid_complex(const std::vector<Index>& shape, Adjacency adjacency) {
    std::array<Index, 3> sides{1, 1, 1};
    std::copy(shape.begin(), shape.end(), sides.end() - static_cast<std::ptrdiff_t>(shape.size()));
    const auto position = [&](const std::array<Index, 3>& p) { return (p[0] * sides[1] + p[1]) * sides[2] + p[2]; };
    const auto inside = [&](const std::array<Index, 3>& p) {
        for (int axis = 0; axis < 3; ++axis)
            if (p[axis] < 0 || p[axis] >= sides[axis]) return false;
        return true;
    };
    const auto for_each_point = [](const std::array<Index, 3>& ends, auto visit) {
        for (Index z = 0; z < ends[0]; ++z)
            for (Index y = 0; y < ends[1]; ++y)
                for (Index x = 0; x < ends[2]; ++x) visit(std::array<Index, 3>{z, y, x});
    };
    if (adjacency == Adjacency::freudenthal) {
        std::set<std::pair<std::size_t, std::vector<Index>>> simplices;
        // Steps to more and more axes, by the mask of those that are taken with each.
        for_each_point(sides, [&](const std::array<Index, 3>& base) {
            const auto extend = [&](auto self, std::array<Index, 3> last, int taken, std::vector<Index> chain) -> void {
                simplices.insert({chain.size(), chain});
                for (int axes = 1; axes < 8; ++axes) {
                    if (axes & taken) continue;
                    auto next = last;
                    for (int axis = 0; axis < 3; ++axis) next[axis] += axes >> axis & 1;
                    if (!inside(next)) continue;
                    auto longer = chain;
                    longer.push_back(position(next));
                    self(self, next, taken | axes, longer);
                }
            };
            extend(extend, base, 0, {position(base)});
        });
        return simplicial(simplices);
    }
    Complex complex;
    complex.first_counts = adjacency == Adjacency::top_cells;
    std::array<Index, 3> fine;
    for (int axis = 0; axis < 3; ++axis) fine[axis] = 2 * sides[axis] + (complex.first_counts ? 1 : -1);
    // An axis that is not there has the one coordinate that adds no dimension to vertices, and one to top cells.
    const int missing = 3 - static_cast<int>(shape.size());
    std::map<std::array<Index, 3>, Index> numbers;
    for (int dim = 0; dim <= 3; ++dim)
        for_each_point(fine, [&](const std::array<Index, 3>& place) {
            Piece piece{dim, {}, {}};
            int odd = 0;
            for (int axis = 0; axis < 3; ++axis) {
                if (axis < missing && place[axis] != (complex.first_counts ? 1 : 0)) return;
                odd += axis >= missing && place[axis] % 2;
            }
            if (odd != dim) return;
            for (int corner = 0; corner < 8; ++corner) {
                std::array<Index, 3> moved = place;
                bool valid = true;
                for (int axis = 0; axis < 3; ++axis) {
                    const bool spreads = (place[axis] % 2 == 1) != complex.first_counts;
                    moved[axis] += spreads ? (corner >> axis & 1 ? 1 : -1) : 0;
                    valid &= moved[axis] >= 0;
                    moved[axis] /= 2;
                }
                if (valid && inside(moved)) piece.entries.push_back(position(moved));
            }
            for (int axis = missing; axis < 3; ++axis)
                for (const int step : {-1, 1}) {
                    auto face = place;
                    face[axis] += step;
                    if (place[axis] % 2) piece.faces.push_back(numbers.at(face));
                }
            numbers[place] = static_cast<Index>(complex.pieces.size());
            complex.pieces.push_back(piece);
        });
    return complex;
}

// The pieces in the order of a function.
template <class Value>
class Filtered {
public:
    Filtered(const Complex& complex, std::vector<Value> values, bool superlevel)
        : complex_(complex), values_(std::move(values)), superlevel_(superlevel) {
        std::vector<Index> place(values_.size()), order = in_order(values_.data(), Index(values_.size()), superlevel);
        for (std::size_t i = 0; i < order.size(); ++i) place[order[i]] = static_cast<Index>(i);
        const auto earlier = [&](Index a, Index b) { return place[a] < place[b]; };
        for (const Piece& piece : complex.pieces) {
            const auto& all = piece.entries;
            entry.push_back(complex.first_counts ? *std::min_element(all.begin(), all.end(), earlier)
                                                 : *std::max_element(all.begin(), all.end(), earlier));
        }
        pieces.resize(entry.size());
        std::iota(pieces.begin(), pieces.end(), Index{0});
        std::stable_sort(pieces.begin(), pieces.end(), [&](Index a, Index b) {
            if (entry[a] != entry[b]) return earlier(entry[a], entry[b]);
            return complex_.pieces[a].dim < complex_.pieces[b].dim;
        });
        rank.resize(pieces.size());
        for (std::size_t i = 0; i < pieces.size(); ++i) rank[pieces[i]] = static_cast<Index>(i);
    }

    Value value(Index piece) const { return superlevel_ ? -values_[entry[piece]] : values_[entry[piece]]; }

    // Births in this order and deaths in the other one, of positive length.
    std::vector<std::pair<Index, Index>> image_in(const Filtered& other) const {
        std::map<Index, std::set<Index>> columns;
        std::vector<std::pair<Index, Index>> pairs;
        for (const Index piece : other.pieces) {
            std::set<Index> column;
            const auto toggle = [&](Index face) {
                if (!column.insert(face).second) column.erase(face);
            };
            for (const Index face : complex_.pieces[piece].faces) toggle(rank[face]);
            while (!column.empty() && columns.contains(*column.rbegin()))
                for (const Index face : columns[*column.rbegin()]) toggle(face);
            if (column.empty()) continue;
            const Index birth = pieces[*column.rbegin()];
            columns[*column.rbegin()] = column;
            if (value(birth) < other.value(piece)) pairs.emplace_back(birth, piece);
        }
        return pairs;
    }

    std::vector<Index> entry, pieces, rank;  // of each piece; in order; and the place there of each

private:
    const Complex& complex_;
    std::vector<Value> values_;
    bool superlevel_;
};

using Pair = std::array<Index, 5>;  // dimension, birth and death in the one function, and in the other

// Sorted, in every dimension.
template <class Value>
std::vector<Pair> matched(const Complex& complex, const Value* first, const Value* second, std::size_t size, bool superlevel,
                          bool is_union) {
    std::vector<Value> compared(size);
    for (std::size_t i = 0; i < size; ++i)
        compared[i] = is_union == superlevel ? std::max(first[i], second[i]) : std::min(first[i], second[i]);
    const Filtered<Value> both(complex, compared, superlevel);
    const Filtered<Value> sides[] = {{complex, {first, first + size}, superlevel}, {complex, {second, second + size}, superlevel}};
    std::array<std::map<Index, std::pair<Index, Index>>, 2> through;  // bars by the piece of the comparison
    for (int i = 0; i < 2; ++i) {
        std::map<Index, std::pair<Index, Index>> bars;  // by what an image shares with them
        for (const auto& bar : sides[i].image_in(sides[i])) bars[is_union ? bar.first : bar.second] = bar;
        for (const auto& [birth, death] : is_union ? sides[i].image_in(both) : both.image_in(sides[i]))
            if (const auto bar = bars.find(is_union ? birth : death); bar != bars.end())
                through[i][is_union ? death : birth] = bar->second;
    }
    std::vector<Pair> pairs;
    for (const auto& [birth, death] : both.image_in(both)) {
        const auto one = through[0].find(is_union ? death : birth), other = through[1].find(is_union ? death : birth);
        if (one == through[0].end() || other == through[1].end()) continue;
        const auto &a = one->second, &b = other->second;
        pairs.push_back({complex.pieces[a.first].dim, sides[0].entry[a.first], sides[0].entry[a.second],
                         sides[1].entry[b.first], sides[1].entry[b.second]});
    }
    std::sort(pairs.begin(), pairs.end());
    return pairs;
}

}  // namespace plain
