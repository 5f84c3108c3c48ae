// Matrices of distances: barcodes and what checks them.
#include <span>
#include <vector>

#include "bindings/arrays.hpp"
#include "rips/batch.hpp"

namespace topolayer {

namespace {

template <class Value>
void bind_bars(nb::module_& m) {
    using namespace nb::literals;
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
}

}  // namespace

void bind_rips(nb::module_& m) {
    bind_bars<float>(m);
    bind_bars<double>(m);
}

}  // namespace topolayer
