// Simplicial complexes: faces and barcodes.
#include <nanobind/stl/pair.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "complex/batch.hpp"
#include "complex/faces.hpp"

namespace topolayer {

namespace {

Simplices unpacked(const Rows& rows, std::size_t vertices) {
    return to_simplices({rows.data(), rows.size()}, rows.shape(1), vertices);
}

std::vector<Simplices> unpacked(const std::vector<Rows>& given, std::size_t vertices) {
    std::vector<Simplices> result;
    for (const Rows& rows : given) result.push_back(unpacked(rows, vertices));
    return result;
}

// Cells beyond `top` are left out.
Complex to_complex(const std::vector<Rows>& given, std::size_t vertices, std::size_t top) {
    const std::vector<Simplices> simplices = unpacked(given, vertices);
    std::size_t largest = 0;
    for (const Simplices& rows : simplices) largest = std::max(largest, rows.width - 1);
    return Complex(vertices, std::move(closure(simplices, vertices, std::min(top, largest)).facets));
}

Complex to_complex_of_facets(const std::vector<Rows>& facets, std::size_t vertices) {
    std::vector<std::vector<Cell>> cells;
    for (const Rows& rows : facets) {
        if (rows.shape(1) != cells.size() + 2) throw std::invalid_argument("a simplex has another number of facets");
        for (std::size_t i = 0; i < rows.size(); ++i)
            if (rows.data()[i] != static_cast<Cell>(rows.data()[i])) throw std::invalid_argument("a facet that is not there");
        cells.emplace_back(rows.data(), rows.data() + rows.size());
    }
    return Complex(vertices, std::move(cells));
}

template <class Value>
void bind_bars(nb::module_& m) {
    using namespace nb::literals;
    m.def(
        "lower_star_bars",
        [](const Flat<Value>& values, const Offsets& offsets, const std::vector<std::vector<Rows>>& simplices, bool superlevel,
           const std::vector<int>& dims, int threads) {
            const auto batch = to_batch(values, offsets, superlevel, threads);
            return to_python(without_gil([&] {
                std::vector<Complex> complexes;
                for (std::size_t i = 0; i < simplices.size() && i + 1 < batch.offsets.size(); ++i)
                    complexes.push_back(to_complex(simplices[i], static_cast<std::size_t>(batch.size_of(i)),
                                                   static_cast<std::size_t>(dims.back()) + 1));
                return complex_bars(batch, complexes, ValueOf::vertices, false, dims);
            }));
        },
        bars_doc, "values"_a.noconvert(), "offsets"_a.noconvert(), "simplices"_a.noconvert(), "superlevel"_a, "dims"_a,
        "threads"_a);
    m.def(
        "simplicial_bars",
        [](const Flat<Value>& values, const Offsets& offsets, const std::vector<std::size_t>& vertices,
           const std::vector<std::vector<Rows>>& facets, bool is_ball, bool superlevel, const std::vector<int>& dims,
           int threads) {
            const auto batch = to_batch(values, offsets, superlevel, threads);
            return to_python(without_gil([&] {
                std::vector<Complex> complexes;
                for (std::size_t i = 0; i < facets.size(); ++i)
                    complexes.push_back(to_complex_of_facets(facets[i], vertices.at(i)));
                return complex_bars(batch, complexes, ValueOf::cells, is_ball, dims);
            }));
        },
        bars_doc, "values"_a.noconvert(), "offsets"_a.noconvert(), "vertices"_a, "facets"_a.noconvert(), "is_ball"_a,
        "superlevel"_a, "dims"_a, "threads"_a);
}

using Matrix = Numbers<nb::ndim<2>>;

void bind_faces(nb::module_& m) {
    using namespace nb::literals;
    m.def(
        "lattice",
        [](const std::vector<Rows>& simplices, std::size_t vertices) {
            const Lattice found = without_gil([&] {
                const std::vector<Simplices> given = unpacked(simplices, vertices);
                std::size_t top = 0;
                for (const Simplices& rows : given) top = std::max(top, rows.width - 1);
                return closure(given, vertices, top);
            });
            std::vector<Matrix> rows, facets;
            for (const Simplices& of_dimension : found.simplices)
                rows.push_back(to_numpy<Matrix>({of_dimension.vertices.begin(), of_dimension.vertices.end()}, of_dimension.width));
            for (const std::vector<Cell>& places : found.facets)
                facets.push_back(to_numpy<Matrix>({places.begin(), places.end()}, facets.size() + 2));
            return std::pair(rows, facets);
        },
        "All faces of simplices by dimension, in lexicographic order; and where the facets of edges, triangles, ... are there.",
        "simplices"_a.noconvert(), "vertices"_a);
    m.def(
        "places",
        [](const Rows& simplices, const Rows& among, std::size_t vertices) {
            if (simplices.shape(1) != among.shape(1)) throw std::invalid_argument("simplices of two dimensions");
            return to_numpy(without_gil([&] { return places(unpacked(simplices, vertices), unpacked(among, vertices), vertices); }));
        },
        "Where simplices are among others of their dimension, the first of equal ones; -1 where they are not.",
        "simplices"_a.noconvert(), "among"_a.noconvert(), "vertices"_a);
}

}  // namespace

void bind_complexes(nb::module_& m) {
    bind_faces(m);
    bind_bars<float>(m);
    bind_bars<double>(m);
}

}  // namespace topolayer
