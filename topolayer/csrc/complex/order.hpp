// The order in which the cells of a complex enter.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "common/buffer.hpp"
#include "common/sample.hpp"
#include "common/sort.hpp"
#include "common/values.hpp"
#include "complex/complex.hpp"

namespace topolayer {

enum class ValueOf {
    cells,     // a value for each cell, vertices first, then edges, and so on
    vertices,  // a value for each vertex: a cell enters with its last one
};

using Rank = std::uint32_t;  // the place of a cell among those of its dimension

// The cells of each dimension by rank.
template <class Value>
class CellOrder {
public:
    void sort(const Sample<Value>& sample, const Complex& complex, ValueOf value_of, std::size_t top) {
        sample_ = &sample;
        complex_ = &complex;
        value_of_ = value_of;
        cells_.resize(std::max(cells_.size(), top + 1));
        rank_.resize(cells_.size());
        for (std::size_t dimension = 0; dimension <= top; ++dimension) {
            cells_[dimension].resize(complex.size(dimension));
            rank_[dimension].resize(complex.size(dimension));
            if (dimension == 0 || value_of == ValueOf::cells)
                by_value(dimension);
            else
                by_last_facets(dimension);
            for (Rank rank = 0; rank < cells_[dimension].size(); ++rank) rank_[dimension][cells_[dimension][rank]] = rank;
        }
    }

    Rank rank(std::size_t dimension, Cell cell) const { return rank_[dimension][cell]; }
    Cell cell(std::size_t dimension, Rank rank) const { return cells_[dimension][rank]; }

    // Ranks what cells of one dimension enter with: for values of cells themselves, for those of vertices their last one.
    Rank age(std::size_t dimension, Rank rank) const {
        if (value_of_ == ValueOf::cells) return rank;
        for (; dimension > 0; --dimension) rank = last_facets(dimension, cell(dimension, rank)).last;
        return rank;
    }

    // The entry of the values that cells of a dimension and an age enter at.
    std::size_t entry(std::size_t dimension, Rank age) const {
        if (value_of_ == ValueOf::cells) return complex_->first(dimension) + cell(dimension, age);
        return cell(0, age);
    }

    Key<Value> key(std::size_t entry) const { return order_key(sample_->values[entry], sample_->superlevel); }

private:
    struct LastFacets {
        Rank last, last_but_one;
    };

    void by_value(std::size_t dimension) {
        keyed_.renew(complex_->size(dimension));
        for (Cell cell = 0; cell < keyed_.size(); ++cell) keyed_[cell] = {key(complex_->first(dimension) + cell), cell};
        if (keyed_.size() > 0) sort_by_key(keyed_, spare_);
        for (Rank rank = 0; rank < keyed_.size(); ++rank) cells_[dimension][rank] = keyed_[rank].index;
    }

    // The last facet holds the last vertex, as ranks of facets say. Two facets tell a simplex.
    void by_last_facets(std::size_t dimension) {
        std::vector<Cell>& cells = cells_[dimension];
        facets_.resize(cells.size());
        for (Cell cell = 0; cell < cells.size(); ++cell) facets_[cell] = last_facets(dimension, cell);
        between_.resize(cells.size());
        std::iota(between_.begin(), between_.end(), Cell{0});
        count_sort(between_, cells, complex_->size(dimension - 1), [&](Cell cell) { return facets_[cell].last_but_one; });
        between_.swap(cells);
        count_sort(between_, cells, complex_->size(dimension - 1), [&](Cell cell) { return facets_[cell].last; });
    }

    template <class KeyOf>
    void count_sort(const std::vector<Cell>& from, std::vector<Cell>& to, std::size_t keys, KeyOf key_of) {
        next_.assign(keys, 0);
        for (const Cell cell : from) ++next_[key_of(cell)];
        std::exclusive_scan(next_.begin(), next_.end(), next_.begin(), Rank{0});
        for (const Cell cell : from) to[next_[key_of(cell)]++] = cell;
    }

    LastFacets last_facets(std::size_t dimension, Cell cell) const {
        LastFacets found{0, 0};
        for (const Cell facet : complex_->facets(dimension, cell)) {
            const Rank rank = rank_[dimension - 1][facet];
            if (rank >= found.last)
                found = {rank, found.last};
            else
                found.last_but_one = std::max(found.last_but_one, rank);
        }
        return found;
    }

    const Sample<Value>* sample_ = nullptr;
    const Complex* complex_ = nullptr;
    ValueOf value_of_ = ValueOf::cells;
    std::vector<std::vector<Cell>> cells_;  // by dimension and rank
    std::vector<std::vector<Rank>> rank_;   // by dimension and number
    Buffer<Keyed<Key<Value>>> keyed_, spare_;
    std::vector<LastFacets> facets_;
    std::vector<Cell> between_;
    std::vector<Rank> next_;
};

}  // namespace topolayer
