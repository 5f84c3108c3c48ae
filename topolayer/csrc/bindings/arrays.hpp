// What the bindings of all rooms have in common: how arrays are unpacked and results are packed.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/batch.hpp"

namespace topolayer {

namespace nb = nanobind;

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
using Floats = nb::ndarray<nb::numpy, double, nb::ndim<1>>;
// (n, 2), their dimensions and samples
using Finite = std::tuple<Numbers<nb::shape<-1, 2>>, Numbers<nb::ndim<1>>, Numbers<nb::ndim<1>>>;
// (m,), likewise
using Essential = std::tuple<Numbers<nb::ndim<1>>, Numbers<nb::ndim<1>>, Numbers<nb::ndim<1>>>;
using Result = std::tuple<Finite, Essential, bool>;
using Matching = std::tuple<Result, Result, Numbers<nb::shape<-1, 2>>>;

template <class Array = Numbers<nb::ndim<1>>, class Number = std::int64_t>
Array to_numpy(std::vector<Number>&& data, [[maybe_unused]] std::size_t width = 2) {
    auto owner = std::make_unique<std::vector<Number>>(std::move(data));
    auto* vector = owner.get();
    nb::capsule capsule(owner.release(), [](void* p) noexcept { delete static_cast<std::vector<Number>*>(p); });
    if constexpr (std::is_same_v<Array, Numbers<nb::ndim<1>>> || std::is_same_v<Array, Floats>)
        return Array(vector->data(), {vector->size()}, capsule);
    else
        return Array(vector->data(), {vector->size() / width, width}, capsule);
}

inline void look_for_signals() {
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
inline std::span<const std::int64_t> to_span(const Offsets& offsets, std::size_t count) {
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

inline Result to_python(BatchBars&& bars) {
    auto& [finite, essential, all_finite] = bars;
    return {{to_numpy<Numbers<nb::shape<-1, 2>>>(std::move(finite.indices)), to_numpy(std::move(finite.dims)),
             to_numpy(std::move(finite.samples))},
            {to_numpy(std::move(essential.indices)), to_numpy(std::move(essential.dims)),
             to_numpy(std::move(essential.samples))},
            all_finite};
}

inline Matching to_python(BatchMatching&& found) {
    return {to_python(std::move(found.first)), to_python(std::move(found.second)),
            to_numpy<Numbers<nb::shape<-1, 2>>>(std::move(found.pairs))};
}

constexpr auto bars_doc =
    "Finite bars (n, 2) with their dimensions and samples, essential bars (m,) likewise, and whether all values were finite.";
constexpr auto simplify_doc =
    "Writes for every value the index of the one that it takes, and says whether all values were finite.";
constexpr auto matching_doc = "The bars of both, and (matched, 2) indices of finite bars in the first and in the second.";

// The functions of each room, which stand in files of their own to be compiled at the same time.
void bind_grids(nb::module_& m);
void bind_matchings_of_grids(nb::module_& m);
void bind_slabs(nb::module_& m);
void bind_graphs(nb::module_& m);
void bind_complexes(nb::module_& m);
void bind_rips(nb::module_& m);

}  // namespace topolayer
