// Python bindings: unpack arrays, release the GIL, call what batch.hpp has, pack the result. The names and docstrings of this
// file are those of topolayer/_core.pyi, which is made from them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

#include "batch.hpp"
#include "common/cuts.hpp"
#include "common/matching.hpp"
#include "complex/complex.hpp"
#include "complex/faces.hpp"
#include "complex/order.hpp"
#include "graph/graph.hpp"
#include "grid/grid.hpp"

namespace nb = nanobind;
using namespace topolayer;

namespace {

template <class Value, class Shape>
using Input = nb::ndarray<const Value, Shape, nb::c_contig, nb::device::cpu>;
template <class Value>
using Values = Input<Value, nb::ndim<2>>;
using Pairs = Input<std::int64_t, nb::shape<-1, 2>>;
using Offsets = Input<std::int64_t, nb::ndim<1>>;
template <class Value>
using Flat = Input<Value, nb::ndim<1>>;
using Rows = Input<std::int64_t, nb::ndim<2>>;
template <class Index>
using Output = nb::ndarray<Index, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class... Shape>
using Numbers = nb::ndarray<nb::numpy, std::int64_t, Shape...>;
// (n, 2), their dimensions and samples
using Finite = std::tuple<Numbers<nb::shape<-1, 2>>, Numbers<nb::ndim<1>>, Numbers<nb::ndim<1>>>;
// (m,), likewise
using Essential = std::tuple<Numbers<nb::ndim<1>>, Numbers<nb::ndim<1>>, Numbers<nb::ndim<1>>>;
using Result = std::tuple<Finite, Essential, bool>;
using Matching = std::tuple<Result, Result, Numbers<nb::shape<-1, 2>>>;

template <class Array = Numbers<nb::ndim<1>>>
Array to_numpy(std::vector<std::int64_t>&& data, [[maybe_unused]] std::size_t width = 2) {
    auto owner = std::make_unique<std::vector<std::int64_t>>(std::move(data));
    auto* vector = owner.get();
    nb::capsule capsule(owner.release(), [](void* p) noexcept { delete static_cast<std::vector<std::int64_t>*>(p); });
    if constexpr (std::is_same_v<Array, Numbers<nb::ndim<1>>>)
        return Array(vector->data(), {vector->size()}, capsule);
    else
        return Array(vector->data(), {vector->size() / width, width}, capsule);
}

void look_for_signals() {
    nb::gil_scoped_acquire locked;
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
}

// A row for each sample.
template <class Value>
Batch<Value> to_batch(const Values<Value>& values, bool superlevel, int threads) {
    const auto samples = static_cast<std::int64_t>(values.shape(0)), each = static_cast<std::int64_t>(values.shape(1));
    return {values.data(), offsets_of_one_size(samples, each), superlevel, threads, look_for_signals};
}

// Where each begins among so many, and where the last one ends.
std::span<const std::int64_t> to_span(const Offsets& offsets, std::size_t count) {
    const std::span<const std::int64_t> span(offsets.data(), offsets.size());
    if (span.empty() || span.front() != 0 || span.back() != static_cast<std::int64_t>(count) ||
        !std::is_sorted(span.begin(), span.end()))
        throw std::invalid_argument("offsets must ascend from 0 to the number of what they divide");
    return span;
}

template <class Value>
Batch<Value> to_batch(const Flat<Value>& values, const Offsets& offsets, bool superlevel, int threads) {
    const auto span = to_span(offsets, values.size());
    return {values.data(), {span.begin(), span.end()}, superlevel, threads, look_for_signals};
}

template <class Compute>
auto without_gil(Compute compute) {
    nb::gil_scoped_release unlocked;
    return compute();
}

Result to_python(BatchBars&& bars) {
    auto& [finite, essential, all_finite] = bars;
    return {{to_numpy<Numbers<nb::shape<-1, 2>>>(std::move(finite.indices)), to_numpy(std::move(finite.dims)),
             to_numpy(std::move(finite.samples))},
            {to_numpy(std::move(essential.indices)), to_numpy(std::move(essential.dims)),
             to_numpy(std::move(essential.samples))},
            all_finite};
}

Matching to_python(BatchMatching&& found) {
    return {to_python(std::move(found.first)), to_python(std::move(found.second)),
            to_numpy<Numbers<nb::shape<-1, 2>>>(std::move(found.pairs))};
}

Edges to_edges(const Pairs& edges, const Offsets& offsets) {
    return {{edges.data(), edges.size()}, to_span(offsets, edges.shape(0))};
}

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

constexpr auto bars_doc =
    "Finite bars (n, 2) with their dimensions and samples, essential bars (m,) likewise, and whether all values were finite.";
constexpr auto extended_doc =
    "As the others, with 0 ordinary, 1 extended of components, 2 relative, 3 extended of loops in place of dimensions.";
constexpr auto simplify_doc =
    "Writes for every value the index of the one that it takes, and says whether all values were finite.";

constexpr auto matching_doc = "The bars of both, and (matched, 2) indices of finite bars in the first and in the second.";

template <class Value>
void bind_matching(nb::module_& m) {
    using namespace nb::literals;
    m.def(
        "grid_matching",
        [](const Values<Value>& first, const Values<Value>& second, const Grid& grid, bool superlevel,
           const std::vector<int>& dims, Comparison comparison, int threads) {
            const auto batch = to_batch(first, superlevel, threads), other = to_batch(second, superlevel, threads);
            return to_python(without_gil([&] { return grid_matching(batch, other, grid, comparison, dims); }));
        },
        matching_doc, "first"_a.noconvert(), "second"_a.noconvert(), "grid"_a, "superlevel"_a, "dims"_a, "comparison"_a,
        "threads"_a);
    m.def(
        "graph_matching",
        [](const Flat<Value>& first, const Flat<Value>& second, const Offsets& offsets, const Pairs& edges,
           const Offsets& edge_offsets, bool superlevel, Comparison comparison, int threads) {
            const auto batch = to_batch(first, offsets, superlevel, threads);
            const auto other = to_batch(second, offsets, superlevel, threads);
            const auto graphs = to_edges(edges, edge_offsets);
            return to_python(without_gil([&] { return graph_matching(batch, other, graphs, comparison); }));
        },
        matching_doc, "first"_a.noconvert(), "second"_a.noconvert(), "offsets"_a.noconvert(), "edges"_a.noconvert(),
        "edge_offsets"_a.noconvert(), "superlevel"_a, "comparison"_a, "threads"_a);
}

template <class Value, class Index>
void bind_simplification(nb::module_& m) {
    using namespace nb::literals;
    m.def(
        "simplify_grid",
        [](const Values<Value>& values, const Output<Index>& indices, const Grid& grid, bool superlevel, std::int64_t most,
           double shortest, int threads) {
            const auto batch = to_batch(values, superlevel, threads);
            return without_gil([&] {
                return simplify_grid(batch, grid, {most, shortest}, std::span(indices.data(), indices.size()));
            });
        },
        simplify_doc, "values"_a.noconvert(), "indices"_a.noconvert(), "grid"_a, "superlevel"_a, "most"_a, "shortest"_a,
        "threads"_a);
    m.def(
        "simplify_graph",
        [](const Flat<Value>& values, const Offsets& offsets, const Output<Index>& indices, const Pairs& edges,
           const Offsets& edge_offsets, bool superlevel, std::int64_t most, double shortest, int threads) {
            const auto batch = to_batch(values, offsets, superlevel, threads);
            const auto graphs = to_edges(edges, edge_offsets);
            return without_gil([&] {
                return simplify_graph(batch, graphs, {most, shortest}, std::span(indices.data(), indices.size()));
            });
        },
        simplify_doc, "values"_a.noconvert(), "offsets"_a.noconvert(), "indices"_a.noconvert(), "edges"_a.noconvert(),
        "edge_offsets"_a.noconvert(), "superlevel"_a, "most"_a, "shortest"_a, "threads"_a);
}

template <class Value>
void bind(nb::module_& m) {
    using namespace nb::literals;
    m.def(
        "grid_bars",
        [](const Values<Value>& values, const Grid& grid, bool superlevel, const std::vector<int>& dims, int threads) {
            const auto batch = to_batch(values, superlevel, threads);
            return to_python(without_gil([&] { return grid_bars(batch, grid, dims); }));
        },
        bars_doc, "values"_a.noconvert(), "grid"_a, "superlevel"_a, "dims"_a, "threads"_a);
    m.def(
        "graph_bars",
        [](const Flat<Value>& values, const Offsets& offsets, const Pairs& edges, const Offsets& edge_offsets,
           bool superlevel, const std::vector<int>& dims, int threads) {
            const auto batch = to_batch(values, offsets, superlevel, threads);
            const auto graphs = to_edges(edges, edge_offsets);
            return to_python(without_gil([&] { return graph_bars(batch, graphs, dims); }));
        },
        bars_doc, "values"_a.noconvert(), "offsets"_a.noconvert(), "edges"_a.noconvert(), "edge_offsets"_a.noconvert(),
        "superlevel"_a, "dims"_a, "threads"_a);
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
    m.def(
        "extended_graph_bars",
        [](const Flat<Value>& values, const Offsets& offsets, const Pairs& edges, const Offsets& edge_offsets,
           bool superlevel, int threads) {
            const auto batch = to_batch(values, offsets, superlevel, threads);
            const auto graphs = to_edges(edges, edge_offsets);
            return to_python(without_gil([&] { return extended_graph_bars(batch, graphs); }));
        },
        extended_doc, "values"_a.noconvert(), "offsets"_a.noconvert(), "edges"_a.noconvert(),
        "edge_offsets"_a.noconvert(), "superlevel"_a, "threads"_a);
    m.def(
        "rips_bars",
        [](const Flat<Value>& distances, const Offsets& offsets, double threshold, const std::vector<int>& dims,
           int threads) {
            const auto batch = to_batch(distances, offsets, false, threads);
            return to_python(without_gil([&] { return rips_bars(batch, threshold, dims); }));
        },
        bars_doc, "distances"_a.noconvert(), "offsets"_a.noconvert(), "threshold"_a, "dims"_a, "threads"_a);
    m.def(
        "rips_extremes",
        [](const Flat<Value>& distances, const Offsets& offsets, const Output<Value>& extremes, int threads) {
            const auto batch = to_batch(distances, offsets, false, threads);
            without_gil([&] { rips_extremes(batch, std::span(extremes.data(), extremes.size())); });
        },
        "Writes the smallest and the largest entry off the diagonal, the largest on it and the largest difference across it.",
        "distances"_a.noconvert(), "offsets"_a.noconvert(), "extremes"_a.noconvert(), "threads"_a);
    bind_matching<Value>(m);
    bind_simplification<Value, std::int32_t>(m);
    bind_simplification<Value, std::int64_t>(m);
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

NB_MODULE(_core, m) {
    using namespace nb::literals;
    m.doc() = "The C++ core. Indices are flat into the whole array of values, in which offsets say where each sample begins; bars come in "
              "the order that `Barcode` documents. Vertices are numbered within a sample, whose graph or complex is its own or that of all.";
    nb::enum_<Connectivity>(m, "Connectivity")
        .value("FREUDENTHAL", Connectivity::freudenthal)
        .value("VERTICES", Connectivity::vertices)
        .value("TOP_CELLS", Connectivity::top_cells);
    nb::enum_<Comparison>(m, "Comparison")
        .value("UNION", Comparison::union_)
        .value("INTERSECTION", Comparison::intersection);
    nb::class_<Grid>(m, "Grid").def(nb::init<const std::vector<std::int64_t>&, Connectivity>(), "shape"_a,
                                    "connectivity"_a);
    bind_faces(m);
    bind<float>(m);
    bind<double>(m);
}
