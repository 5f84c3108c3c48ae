// Persistence of simplicial complexes, in all dimensions.
//
// A *level* pairs the cells of a dimension, which give birth, with those of the next, which kill. The lowest one is a union-find
// of vertices. Where no cell has more than two cofacets, a level is one as well, of the dual graph: cells of the dimension above
// come in the reversed order, joined by those of this one, or with the outside, which is older than all. Elsewhere the coboundary
// matrix is reduced: no columns of cells that kill something, as the level below says (Chen and Kerber's *twist*, in
// cohomology), and no rows of cells that give birth, as the level above says if it is known.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "common/bars.hpp"
#include "common/interrupt.hpp"
#include "common/sample.hpp"
#include "common/union_find.hpp"
#include "common/values.hpp"
#include "complex/column.hpp"
#include "complex/complex.hpp"
#include "complex/order.hpp"

namespace topolayer {

// An object is used for one sample after another, as it keeps its buffers.
template <class Value>
class ComplexPersistence {
public:
    // `bars`: of each of `dims`, which ascend. `is_ball`: nothing but the first component lives forever, and nobody need look.
    void operator()(const Sample<Value>& sample, const Complex& complex, ValueOf value_of, bool is_ball,
                    std::span<const int> dims, Bars* bars) {
        plan(complex, is_ball, dims);
        order_.sort(sample, complex, value_of, std::min(complex.dimension(), levels_.size()));
        Pace pace(sample.interrupt);
        for (const bool reduced : {false, true})
            for (std::size_t dimension = 0; dimension < levels_.size(); ++dimension)
                if (levels_[dimension].is_wanted && needs_reduction(complex, dimension) == reduced)
                    find_pairs(complex, dimension, pace);
        for (std::size_t i = 0; i < dims.size(); ++i) {
            const auto dimension = static_cast<std::size_t>(dims[i]);
            if (dimension >= levels_.size()) continue;  // there are no such cells
            report_finite(dimension, bars[i]);
            if (dimension == 0 || !is_ball) report_essential(dimension, bars[i]);
        }
    }

private:
    static constexpr Rank none = std::numeric_limits<Rank>::max();

    struct Bar {
        Rank death_age, birth_age;
        std::size_t death, birth;  // entries of the values
    };

    struct Level {
        bool is_wanted = false, is_known = false;
        std::vector<Rank> birth;        // by the rank of a cell of the next dimension: of the cell that it kills, or none
        std::vector<bool> gives_birth;  // to what is killed, by rank
    };

    static bool needs_reduction(const Complex& complex, std::size_t dimension) {
        return dimension > 0 && dimension < complex.dimension() && !complex.has_walls(dimension);
    }

    // What is essential is what no level pairs. A level that is reduced needs the one below.
    void plan(const Complex& complex, bool is_ball, std::span<const int> dims) {
        levels_.resize(std::min(static_cast<std::size_t>(dims.back()), complex.dimension()) + 1);
        for (std::size_t dimension = 0; dimension < levels_.size(); ++dimension) {
            Level& level = levels_[dimension];
            level.is_wanted = level.is_known = false;
            level.birth.assign(dimension < complex.dimension() ? complex.size(dimension + 1) : 0, none);
            level.gives_birth.assign(complex.size(dimension), false);
        }
        for (const int dim : dims) {
            const auto dimension = static_cast<std::size_t>(dim);
            if (dimension >= levels_.size()) continue;
            levels_[dimension].is_wanted = true;
            if (dimension > 0 && !is_ball) levels_[dimension - 1].is_wanted = true;
        }
        for (std::size_t dimension = levels_.size(); dimension-- > 1;)
            if (levels_[dimension].is_wanted && needs_reduction(complex, dimension)) levels_[dimension - 1].is_wanted = true;
    }

    void find_pairs(const Complex& complex, std::size_t dimension, Pace& pace) {
        if (dimension < complex.dimension()) {
            if (dimension == 0)
                unite_vertices(complex, pace);
            else if (complex.has_walls(dimension))
                unite_cells(complex, dimension, pace);
            else
                reduce(complex, dimension, pace);
        }
        levels_[dimension].is_known = true;
    }

    void pair(std::size_t dimension, Rank birth, Rank death) {
        levels_[dimension].birth[death] = birth;
        levels_[dimension].gives_birth[birth] = true;
    }

    void unite_vertices(const Complex& complex, Pace& pace) {
        sets_.reset(complex.size(0));
        for (Rank rank = 0; rank < complex.size(1); ++rank) {
            pace.after(1);
            const auto ends = complex.facets(1, order_.cell(1, rank));
            const Rank a = sets_.root(order_.rank(0, ends[0])), b = sets_.root(order_.rank(0, ends[1]));
            if (a == b) continue;
            sets_.attach(std::max(a, b), std::min(a, b));
            pair(0, std::max(a, b), rank);
        }
    }

    // Elements are numbered by age in the reversed order, from 1 on: 0 is the outside.
    void unite_cells(const Complex& complex, std::size_t dimension, Pace& pace) {
        const auto cells = static_cast<Rank>(complex.size(dimension + 1));
        sets_.reset(std::size_t{cells} + 1);
        const auto root = [&](Cell cell) { return sets_.root(cells - order_.rank(dimension + 1, cell)); };
        for (auto rank = static_cast<Rank>(complex.size(dimension)); rank-- > 0;) {
            pace.after(1);
            const auto sides = complex.cofacets(dimension, order_.cell(dimension, rank));
            if (sides.empty()) continue;
            const Rank a = root(sides[0]), b = sides.size() == 2 ? root(sides[1]) : sets_.root(0);
            if (a == b) continue;
            sets_.attach(std::max(a, b), std::min(a, b));
            pair(dimension, rank, cells - std::max(a, b));
        }
    }

    void reduce(const Complex& complex, std::size_t dimension, Pace& pace) {
        const std::vector<Rank>& killed = levels_[dimension - 1].birth;
        const bool is_last = dimension + 1 == levels_.size() || !levels_[dimension + 1].is_known;
        const std::vector<bool>* const above = is_last ? nullptr : &levels_[dimension + 1].gives_birth;
        const auto for_each_row = [&](Rank column, auto visit) {
            for (const Cell cell : complex.cofacets(dimension, order_.cell(dimension, column))) {
                const Rank row = order_.rank(dimension + 1, cell);
                if (!above || !(*above)[row]) visit(row);
            }
        };
        const std::vector<Rank>& owner = levels_[dimension].birth;
        column_.reset(complex.size(dimension + 1));
        sums_.clear();
        sum_.assign(complex.size(dimension), {0, 0});
        for (auto column = static_cast<Rank>(complex.size(dimension)); column-- > 0;) {
            pace.after(1);
            if (killed[column] != none) continue;
            Rank first = none;
            for_each_row(column, [&](Rank row) { first = std::min(first, row); });
            if (first == none) continue;
            if (owner[first] == none) {  // most columns are as they should be
                pair(dimension, column, first);
                continue;
            }
            for_each_row(column, [&](Rank row) { column_.toggle(row); });
            for (Rank row; (row = column_.least()) != Column::none;) {
                const Rank other = owner[row];
                if (other == none) {
                    pair(dimension, column, row);
                    keep(column);
                    break;
                }
                const auto [begin, end] = sum_[other];
                pace.after(static_cast<std::int64_t>(1 + end - begin));
                if (begin == end)
                    for_each_row(other, [&](Rank mine) { column_.toggle(mine); });
                else
                    for (std::size_t i = begin; i < end; ++i) column_.toggle(sums_[i]);
            }
        }
    }

    // Moves the sum that has been made of a column to where it is found again.
    void keep(Rank column) {
        const std::size_t begin = sums_.size();
        for (Rank row; (row = column_.least()) != Column::none;) {
            sums_.push_back(row);
            column_.toggle(row);
        }
        sum_[column] = {begin, sums_.size()};
    }

    void report_finite(std::size_t dimension, Bars& bars) {
        const std::vector<Rank>& birth = levels_[dimension].birth;
        found_.clear();
        for (Rank rank = 0; rank < birth.size(); ++rank) {
            if (birth[rank] == none) continue;
            const Rank death_age = order_.age(dimension + 1, rank), birth_age = order_.age(dimension, birth[rank]);
            const std::size_t death = order_.entry(dimension + 1, death_age), born = order_.entry(dimension, birth_age);
            if (order_.key(death) != order_.key(born)) found_.push_back({death_age, birth_age, death, born});
        }
        std::sort(found_.begin(), found_.end(), [](const Bar& a, const Bar& b) {
            return a.death_age != b.death_age ? a.death_age < b.death_age : a.birth_age < b.birth_age;
        });
        for (const Bar& bar : found_) {
            bars.finite.push_back(static_cast<std::int64_t>(bar.birth));
            bars.finite.push_back(static_cast<std::int64_t>(bar.death));
        }
    }

    void report_essential(std::size_t dimension, Bars& bars) {
        const std::vector<bool>& gives_birth = levels_[dimension].gives_birth;
        for (Rank rank = 0; rank < gives_birth.size(); ++rank)
            if (!gives_birth[rank] && (dimension == 0 || levels_[dimension - 1].birth[rank] == none))
                bars.essential.push_back(static_cast<std::int64_t>(order_.entry(dimension, order_.age(dimension, rank))));
    }

    CellOrder<Value> order_;
    std::vector<Level> levels_;
    UnionFind sets_;
    std::vector<Bar> found_;
    Column column_;
    std::vector<Rank> sums_;                                // rows of columns that others have been added to
    std::vector<std::pair<std::size_t, std::size_t>> sum_;  // where, by column; nowhere if none have
};

}  // namespace topolayer
