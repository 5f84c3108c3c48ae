// A simplicial complex by its cells of each dimension, and which are the facets of which.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "complex/faces.hpp"

namespace topolayer {

using Cell = std::uint32_t;  // the number of a cell among those of its dimension

class Complex {
public:
    // `facets`: of the cells of dimensions 1, 2, ..., so many of each as it has vertices.
    Complex(std::size_t vertices, std::vector<std::vector<Cell>> facets) : facets_(std::move(facets)), first_{0, vertices} {
        for (std::size_t dimension = 1; dimension <= facets_.size(); ++dimension) {
            const std::vector<Cell>& below = facets_[dimension - 1];
            if (below.size() % (dimension + 1) != 0 ||
                std::any_of(below.begin(), below.end(), [&](Cell facet) { return facet >= size(dimension - 1); }))
                throw std::invalid_argument("a simplex has a facet that is not there");
            first_.push_back(first_.back() + below.size() / (dimension + 1));
        }
        check_count(first_.back());
        for (std::size_t dimension = 1; dimension < facets_.size(); ++dimension) cofacets_.push_back(above(dimension));
    }

    // The largest dimension in which there may be cells.
    std::size_t dimension() const { return facets_.size(); }
    // Cells of a dimension; those of all dimensions before.
    std::size_t size(std::size_t dimension) const { return first_[dimension + 1] - first_[dimension]; }
    std::size_t first(std::size_t dimension) const { return first_[dimension]; }
    std::size_t size() const { return first_.back(); }

    // Of a cell that is no vertex.
    std::span<const Cell> facets(std::size_t dimension, Cell cell) const {
        return {&facets_[dimension - 1][cell * (dimension + 1)], dimension + 1};
    }

    // Of a cell that is no vertex and not of the largest dimension.
    std::span<const Cell> cofacets(std::size_t dimension, Cell cell) const {
        const Incidence& lists = cofacets_[dimension - 1];
        return {lists.cells.data() + lists.first[cell], lists.first[cell + 1] - lists.first[cell]};
    }

    // Whether no cell of such a dimension has more than two cofacets, as the walls between the cells of a manifold.
    bool has_walls(std::size_t dimension) const { return cofacets_[dimension - 1].most <= 2; }

private:
    struct Incidence {
        std::vector<std::size_t> first;
        std::vector<Cell> cells;
        std::size_t most = 0;
    };

    Incidence above(std::size_t dimension) const {
        const std::vector<Cell>& facets = facets_[dimension];
        Incidence lists;
        lists.first.resize(size(dimension) + 2);
        for (const Cell facet : facets) ++lists.first[facet + 2];
        for (std::size_t i = 2; i < lists.first.size(); ++i) {
            lists.most = std::max(lists.most, lists.first[i]);
            lists.first[i] += lists.first[i - 1];
        }
        lists.cells.resize(facets.size());
        for (std::size_t i = 0; i < facets.size(); ++i)
            lists.cells[lists.first[facets[i] + 1]++] = static_cast<Cell>(i / (dimension + 2));
        lists.first.pop_back();
        return lists;
    }

    std::vector<std::vector<Cell>> facets_;
    std::vector<std::size_t> first_;
    std::vector<Incidence> cofacets_;  // of dimensions 1, 2, ...
};

}  // namespace topolayer
