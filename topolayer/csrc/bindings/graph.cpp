// Graphs: barcodes, extended persistence, induced matchings, simplifications.
#include <cstdint>
#include <span>
#include <vector>

#include "bindings/arrays.hpp"
#include "graph/batch.hpp"

namespace topolayer {

namespace {

Edges to_edges(const Pairs& edges, const Offsets& offsets) {
    return {{edges.data(), edges.size()}, to_span(offsets, edges.shape(0))};
}

constexpr auto extended_doc =
    "As the others, with 0 ordinary, 1 extended of components, 2 relative, 3 extended of loops in place of dimensions.";

template <class Value>
void bind_bars(nb::module_& m) {
    using namespace nb::literals;
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

}  // namespace

void bind_graphs(nb::module_& m) {
    bind_bars<float>(m);
    bind_bars<double>(m);
    bind_simplification<float, std::int32_t>(m);
    bind_simplification<float, std::int64_t>(m);
    bind_simplification<double, std::int32_t>(m);
    bind_simplification<double, std::int64_t>(m);
}

}  // namespace topolayer
