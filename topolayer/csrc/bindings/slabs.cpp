// Grids that come slab by slab.
#include <cstdint>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "grid/slabs.hpp"

namespace topolayer {

namespace {

template <class Value>
void bind(nb::module_& m, const char* name) {
    using namespace nb::literals;
    nb::class_<Slabs<Value>>(m, name)
        .def(nb::init<const std::vector<std::int64_t>&, Connectivity, bool, bool, std::int64_t>(), "shape"_a,
             "connectivity"_a, "superlevel"_a, "top"_a, "first"_a = 0)
        .def(
            "add",
            [](Slabs<Value>& slabs, const Flat<Value>& planes, int threads) {
                const std::span<const Value> values(planes.data(), planes.size());
                return without_gil([&] { return slabs.add(values, threads, look_for_signals); });
            },
            "The next planes, with one before and one behind where there are any; whether all values were finite.",
            "planes"_a.noconvert(), "threads"_a)
        .def(
            "bars",
            [](Slabs<Value>& slabs) {
                auto [finite, essential, values, essential_values] =
                    without_gil([&] { return slabs.bars(look_for_signals); });
                return std::tuple(to_numpy<Numbers<nb::shape<-1, 2>>>(std::move(finite)),
                                  to_numpy<Floats>(std::move(values)), to_numpy(std::move(essential)),
                                  to_numpy<Floats>(std::move(essential_values)));
            },
            "Once all planes have come: finite bars (n, 2), their values one after another, essential bars likewise.");
}

}  // namespace

void bind_slabs(nb::module_& m) {
    bind<float>(m, "Slabs");
    bind<double>(m, "DoubleSlabs");
}

}  // namespace topolayer
