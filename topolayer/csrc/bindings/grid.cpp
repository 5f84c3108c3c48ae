// Grids: barcodes and simplifications.
#include <cstdint>
#include <span>
#include <vector>

#include "bindings/arrays.hpp"
#include "grid/batch.hpp"

namespace topolayer {

namespace {

template <class Value>
void bind_bars(nb::module_& m) {
    using namespace nb::literals;
    m.def(
        "grid_bars",
        [](const Values<Value>& values, const Grid& grid, bool superlevel, const std::vector<int>& dims, int threads) {
            const auto batch = to_batch(values, superlevel, threads);
            return to_python(without_gil([&] { return grid_bars(batch, grid, dims); }));
        },
        bars_doc, "values"_a.noconvert(), "grid"_a, "superlevel"_a, "dims"_a, "threads"_a);
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
}

}  // namespace

void bind_grids(nb::module_& m) {
    using namespace nb::literals;
    nb::enum_<Connectivity>(m, "Connectivity")
        .value("FREUDENTHAL", Connectivity::freudenthal)
        .value("VERTICES", Connectivity::vertices)
        .value("TOP_CELLS", Connectivity::top_cells);
    nb::class_<Grid>(m, "Grid").def(nb::init<const std::vector<std::int64_t>&, Connectivity>(), "shape"_a,
                                    "connectivity"_a);
    bind_bars<float>(m);
    bind_bars<double>(m);
    bind_bars<std::uint8_t>(m);
    bind_bars<std::int16_t>(m);
    bind_bars<std::uint16_t>(m);
    bind_simplification<float, std::int32_t>(m);
    bind_simplification<float, std::int64_t>(m);
    bind_simplification<double, std::int32_t>(m);
    bind_simplification<double, std::int64_t>(m);
}

}  // namespace topolayer
