// Grids: induced matchings.
#include <vector>

#include "bindings/arrays.hpp"
#include "grid/batch.hpp"

namespace topolayer {

namespace {

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
}

}  // namespace

void bind_matchings_of_grids(nb::module_& m) {
    bind_matching<float>(m);
    bind_matching<double>(m);
}

}  // namespace topolayer
