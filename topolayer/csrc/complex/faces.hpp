// Simplices as rows of vertices, which ascend, and what has equal rows in common: the faces of simplices, and where they stand.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

namespace topolayer {

// A simplex of dimension d is a row of d + 1 vertices.
struct Simplices {
    using Vertex = std::uint32_t;

    std::size_t width = 1;
    std::vector<Vertex> vertices;

    std::size_t size() const { return vertices.size() / width; }
    const Vertex* operator[](std::size_t row) const { return &vertices[row * width]; }
    bool are_equal(std::size_t a, std::size_t b) const { return std::equal((*this)[a], (*this)[a] + width, (*this)[b]); }
};

// Rows that somebody gives, in which vertices come in any order.
inline Simplices to_simplices(std::span<const std::int64_t> given, std::size_t width, std::size_t vertices) {
    if (width == 0) throw std::invalid_argument("a simplex has no vertex");
    Simplices rows{width, {}};
    rows.vertices.reserve(given.size());
    for (const std::int64_t vertex : given) {
        if (vertex < 0 || static_cast<std::uint64_t>(vertex) >= vertices)
            throw std::invalid_argument("a simplex names a vertex that is not there");
        rows.vertices.push_back(static_cast<Simplices::Vertex>(vertex));
    }
    for (std::size_t first = 0; first < rows.vertices.size(); first += width) {
        const std::span<Simplices::Vertex> row = std::span(rows.vertices).subspan(first, width);
        std::sort(row.begin(), row.end());
        if (std::adjacent_find(row.begin(), row.end()) != row.end())
            throw std::invalid_argument("a simplex has a vertex twice");
    }
    return rows;
}

// The numbers of all rows, in lexicographic order of the rows; equal ones stay in their order.
inline std::vector<std::uint32_t> lexicographic_order(const Simplices& rows, std::size_t vertices) {
    std::vector<std::uint32_t> order(rows.size()), before(rows.size());
    std::iota(order.begin(), order.end(), std::uint32_t{0});
    std::vector<std::uint32_t> next(vertices);
    for (std::size_t column = rows.width; column-- > 0;) {
        std::fill(next.begin(), next.end(), 0);
        for (std::size_t row = 0; row < rows.size(); ++row) ++next[rows[row][column]];
        std::exclusive_scan(next.begin(), next.end(), next.begin(), std::uint32_t{0});
        order.swap(before);
        for (const std::uint32_t row : before) order[next[rows[row][column]]++] = row;
    }
    return order;
}

// Adds the faces of the rows, each without its first vertex, without its second, and so on.
inline void add_facets(const Simplices& rows, Simplices& facets) {
    facets.vertices.reserve(facets.vertices.size() + rows.vertices.size() * facets.width);
    for (std::size_t row = 0; row < rows.size(); ++row)
        for (std::size_t left_out = 0; left_out < rows.width; ++left_out)
            for (std::size_t i = 0; i < rows.width; ++i)
                if (i != left_out) facets.vertices.push_back(rows[row][i]);
}

// Adds the faces of so many vertices as `faces` has.
inline void add_faces(const Simplices& rows, Simplices& faces) {
    std::vector<std::size_t> chosen(faces.width);
    for (std::size_t row = 0; row < rows.size(); ++row) {
        std::iota(chosen.begin(), chosen.end(), std::size_t{0});
        for (;;) {
            for (const std::size_t i : chosen) faces.vertices.push_back(rows[row][i]);
            std::size_t last = faces.width;  // the last one that can move to the right
            while (last > 0 && chosen[last - 1] == rows.width - faces.width + last - 1) --last;
            if (last == 0) break;
            std::iota(chosen.begin() + static_cast<std::ptrdiff_t>(last) - 1, chosen.end(), chosen[last - 1] + 1);
        }
    }
}

// All simplices of a complex up to some dimension, and where the facets of each stand: those of vertices left out.
struct Lattice {
    std::vector<Simplices> simplices;                 // by dimension
    std::vector<std::vector<std::uint32_t>> facets;  // of dimensions 1, 2, ...: without the first vertex, the second, ...
};

inline void check_count(std::size_t simplices) {
    if (simplices > std::numeric_limits<std::uint32_t>::max()) throw std::invalid_argument("there are too many simplices");
}

// The faces of what is given, up to the dimension `top`, each once and in lexicographic order, with all of the vertices.
inline Lattice closure(const std::vector<Simplices>& given, std::size_t vertices, std::size_t top) {
    Lattice lattice;
    lattice.simplices.resize(top + 1);
    lattice.facets.resize(top);
    for (std::size_t dimension = top + 1; dimension-- > 1;) {
        Simplices rows{dimension + 1, {}};
        if (dimension < top) add_facets(lattice.simplices[dimension + 1], rows);
        for (const Simplices& simplices : given)
            if (simplices.width == rows.width)
                rows.vertices.insert(rows.vertices.end(), simplices.vertices.begin(), simplices.vertices.end());
            else if (simplices.width > rows.width && dimension == top)
                add_faces(simplices, rows);
        check_count(rows.size());
        const std::vector<std::uint32_t> order = lexicographic_order(rows, vertices);
        std::vector<std::uint32_t> place(rows.size());
        Simplices& distinct = lattice.simplices[dimension];
        distinct.width = rows.width;
        for (std::size_t i = 0; i < order.size(); ++i) {
            if (i == 0 || !rows.are_equal(order[i - 1], order[i]))
                distinct.vertices.insert(distinct.vertices.end(), rows[order[i]], rows[order[i]] + rows.width);
            place[order[i]] = static_cast<std::uint32_t>(distinct.size() - 1);
        }
        if (dimension == top) continue;
        place.resize(lattice.simplices[dimension + 1].vertices.size());
        lattice.facets[dimension] = std::move(place);
    }
    lattice.simplices[0].vertices.resize(vertices);
    std::iota(lattice.simplices[0].vertices.begin(), lattice.simplices[0].vertices.end(), Simplices::Vertex{0});
    if (top > 0) {
        const Simplices& edges = lattice.simplices[1];
        std::vector<std::uint32_t>& ends = lattice.facets[0];
        ends.reserve(edges.vertices.size());
        for (std::size_t edge = 0; edge < edges.size(); ++edge) ends.insert(ends.end(), {edges[edge][1], edges[edge][0]});
    }
    return lattice;
}

inline constexpr std::int64_t nowhere = -1;

// Where rows stand among others, the first of equal ones.
inline std::vector<std::int64_t> places(const Simplices& rows, const Simplices& among, std::size_t vertices) {
    Simplices all = among;
    all.vertices.insert(all.vertices.end(), rows.vertices.begin(), rows.vertices.end());
    check_count(all.size());
    std::vector<std::int64_t> place(rows.size());
    std::int64_t first = nowhere;
    const std::vector<std::uint32_t> order = lexicographic_order(all, vertices);
    for (std::size_t i = 0; i < order.size(); ++i) {
        const bool is_among = order[i] < among.size();
        if (i == 0 || !all.are_equal(order[i - 1], order[i])) first = is_among ? std::int64_t{order[i]} : nowhere;
        if (!is_among) place[order[i] - among.size()] = first;
    }
    return place;
}

}  // namespace topolayer
