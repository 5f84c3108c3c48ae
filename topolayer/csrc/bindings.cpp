// Python bindings: unpack arrays, release the GIL, call the algorithms, pack the result.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

#include "common/bars.hpp"
#include "grid/extremum_graph.hpp"
#include "graph/h0.hpp"
#include "grid/grid.hpp"
#include "common/interrupt.hpp"
#include "common/merge_tree.hpp"
#include "common/parallel.hpp"
#include "rips/h0.hpp"
#include "grid/simplification.hpp"
#include "common/workspace.hpp"

namespace nb = nanobind;
using namespace topolayer;

namespace {

template <class Value, class Shape>
using Input = nb::ndarray<const Value, Shape, nb::c_contig, nb::device::cpu>;
template <class Index>
using Output = nb::ndarray<Index, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Indices = nb::ndarray<nb::numpy, std::int64_t>;
// finite (n, 2), their dimensions and samples; essential (m,), likewise; whether all values were finite
using Result = std::tuple<Indices, Indices, Indices, Indices, Indices, Indices, bool>;

Indices to_numpy(std::vector<std::int64_t>&& data, std::size_t columns = 1) {
    auto owner = std::make_unique<std::vector<std::int64_t>>(std::move(data));
    auto* vector = owner.get();
    nb::capsule capsule(owner.release(), [](void* p) noexcept { delete static_cast<std::vector<std::int64_t>*>(p); });
    const std::size_t rows = vector->size() / columns;
    if (columns == 1) return Indices(vector->data(), {rows}, capsule);
    return Indices(vector->data(), {rows, columns}, capsule);
}

// The bars of all samples and dimensions, one after another.
struct Joined {
    std::vector<std::int64_t> indices, dims, samples;

    // `part`: the finite or the essential bars, with so many indices each. Indices become flat into the whole batch.
    Joined(std::vector<Bars>& batch, std::vector<std::int64_t> Bars::*part, std::size_t indices_per_bar,
           const std::vector<int>& dimensions, std::int64_t values_per_sample) {
        std::size_t size = 0;
        for (const Bars& bars : batch) size += (bars.*part).size();
        if (batch.size() > 1) indices.reserve(size);
        dims.reserve(size / indices_per_bar);
        samples.reserve(size / indices_per_bar);
        for (std::size_t i = 0; i < batch.size(); ++i) {
            std::vector<std::int64_t>& found = batch[i].*part;
            const auto sample = static_cast<std::int64_t>(i / dimensions.size());
            const std::size_t bars = samples.size() + found.size() / indices_per_bar;
            dims.resize(bars, dimensions[i % dimensions.size()]);
            samples.resize(bars, sample);
            if (batch.size() == 1)
                indices = std::move(found);
            else
                for (const std::int64_t index : found) indices.push_back(sample * values_per_sample + index);
        }
    }
};

template <class Value>
Value rounded(double number) {
    constexpr double largest = std::numeric_limits<Value>::max();
    return number > largest ? std::numeric_limits<Value>::infinity() : static_cast<Value>(number);
}

template <class Value, class Index>
void check_sizes(const Input<Value, nb::ndim<2>>& values, const Output<Index>& indices, std::int64_t values_per_sample) {
    if (static_cast<std::int64_t>(values.shape(1)) != values_per_sample)
        throw std::invalid_argument("the values of a sample do not fill the grid");
    if (indices.size() != values.size()) throw std::invalid_argument("there must be one index for each value");
    if (values.size() > 0 && values.size() - 1 > static_cast<std::size_t>(std::numeric_limits<Index>::max()))
        throw std::invalid_argument("an index does not fit in its type");
}

// Calls algorithm(sample, its first value, interrupt) for all samples; `make_algorithm` makes one per thread.
template <class Value, class MakeAlgorithm>
void for_each_sample(const Value* values, std::int64_t samples, std::int64_t values_per_sample, std::int64_t threads,
                     MakeAlgorithm make_algorithm) {
    Interrupt interrupt([] {
        nb::gil_scoped_acquire locked;
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
    });
    for_each_task(samples, samples * values_per_sample, threads, interrupt, [&] {
        return [&, algorithm = make_algorithm()](std::int64_t sample) mutable {
            algorithm(sample, values + sample * values_per_sample, interrupt);
            interrupt.look();
        };
    });
}

// Runs algorithm(first value of the sample, its bars in each of the dimensions, interrupt) on all samples.
template <class Value, class MakeAlgorithm>
Result run(const Value* values, std::int64_t samples, std::int64_t values_per_sample, const std::vector<int>& dimensions,
           std::int64_t threads, MakeAlgorithm make_algorithm) {
    std::optional<Joined> finite, essential;
    bool all_finite = true;
    {
        nb::gil_scoped_release unlocked;
        std::vector<Bars> batch(static_cast<std::size_t>(samples) * dimensions.size());
        for_each_sample(values, samples, values_per_sample, threads, [&] {
            return [&, algorithm = make_algorithm()](std::int64_t sample, const Value* first, Interrupt& interrupt) mutable {
                algorithm(first, &batch[sample * dimensions.size()], interrupt);
            };
        });
        for (const Bars& bars : batch) all_finite &= !bars.nonfinite;
        finite.emplace(batch, &Bars::finite, 2, dimensions, values_per_sample);
        essential.emplace(batch, &Bars::essential, 1, dimensions, values_per_sample);
    }
    return {to_numpy(std::move(finite->indices), 2), to_numpy(std::move(finite->dims)),
            to_numpy(std::move(finite->samples)),    to_numpy(std::move(essential->indices)),
            to_numpy(std::move(essential->dims)),    to_numpy(std::move(essential->samples)), all_finite};
}

// `dims`, ascending: 0, and the number of axes less one.
template <class Value>
Result grid(Input<Value, nb::ndim<2>> values, const std::vector<std::int64_t>& shape, Connectivity connectivity,
            bool superlevel, const std::vector<int>& dims, int threads) {
    const Grid primal(shape, connectivity), reversed(shape, dual(connectivity));
    if (primal.size() != static_cast<std::int64_t>(values.shape(1)))
        throw std::invalid_argument("the values of a sample do not fill the grid");
    const auto samples = static_cast<std::int64_t>(values.shape(0));
    const std::int64_t per_sample = primal.size();
    const int threads_each = threads_per_sample(threads, samples);
    return run(values.data(), samples, per_sample, dims, threads, [&] {
        return [&, graph = Workspace<ExtremumGraph<Value>>()](const Value* sample, Bars* bars,
                                                              Interrupt& interrupt) mutable {
            if (dims.size() == 2)
                graph->h0_and_top(sample, primal, reversed, superlevel, threads_each, bars[0], bars[1], interrupt);
            else if (dims.front() == 0)
                graph->h0(sample, primal, superlevel, threads_each, *bars, interrupt);
            else
                graph->top(sample, reversed, superlevel, threads_each, *bars, interrupt);
        };
    });
}

template <class Value>
Result graph_h0(Input<Value, nb::ndim<2>> values, Input<std::int64_t, nb::shape<-1, 2>> edges, bool superlevel,
                int threads) {
    const Graph graph(values.shape(1), {edges.data(), edges.size()});
    return run(values.data(), values.shape(0), values.shape(1), {0}, threads, [&] {
        return [&, h0 = GraphH0<Value>()](const Value* sample, Bars* bars, Interrupt& interrupt) mutable {
            h0(sample, graph, superlevel, *bars, interrupt);
        };
    });
}

template <class Value>
Result rips_h0(Input<Value, nb::ndim<3>> distances, double threshold, int threads) {
    const auto points = static_cast<std::int64_t>(distances.shape(1));
    const auto longest = rounded<Value>(threshold);
    return run(distances.data(), distances.shape(0), points * points, {0}, threads, [&] {
        return [&, h0 = RipsH0<Value>()](const Value* sample, Bars* bars, Interrupt& interrupt) mutable {
            h0(sample, points, longest, *bars, interrupt);
        };
    });
}

// Writes to `indices`, and says whether all values were finite.
template <class Value, class Index>
bool simplify_grid(Input<Value, nb::ndim<2>> values, Output<Index> indices, const std::vector<std::int64_t>& shape,
                   Connectivity connectivity, bool superlevel, std::int64_t most, double shortest, int threads) {
    const Grid grid(shape, connectivity);
    check_sizes(values, indices, grid.size());
    const auto samples = static_cast<std::int64_t>(values.shape(0));
    const int threads_each = threads_per_sample(threads, samples);
    const Kept<Value> kept{most, rounded<Value>(shortest)};
    std::atomic<bool> all_finite = true;
    nb::gil_scoped_release unlocked;
    for_each_sample(values.data(), samples, grid.size(), threads, [&] {
        return [&, graph = Workspace<ExtremumGraph<Value>>(), simplify = Workspace<GridSimplification<Value, Index>>()](
                   std::int64_t sample, const Value* first, Interrupt& interrupt) mutable {
            const auto offset = static_cast<Index>(sample * grid.size());
            if (!(*simplify)(first, grid, superlevel, kept, threads_each, offset, indices.data() + offset, *graph, interrupt))
                all_finite = false;
        };
    });
    return all_finite;
}

template <class Value, class Index>
bool simplify_graph(Input<Value, nb::ndim<2>> values, Output<Index> indices,
                    Input<std::int64_t, nb::shape<-1, 2>> edges, bool superlevel, std::int64_t most, double shortest,
                    int threads) {
    const auto vertices = static_cast<std::int64_t>(values.shape(1));
    const Graph graph(vertices, {edges.data(), edges.size()});
    check_sizes(values, indices, vertices);
    const Kept<Value> kept{most, rounded<Value>(shortest)};
    std::atomic<bool> all_finite = true;
    nb::gil_scoped_release unlocked;
    for_each_sample(values.data(), values.shape(0), vertices, threads, [&] {
        return [&, simplify = GraphSimplification<Value, Index>()](std::int64_t sample, const Value* first,
                                                                  Interrupt& interrupt) mutable {
            const auto offset = static_cast<Index>(sample * vertices);
            if (!simplify(first, graph, superlevel, kept, offset, indices.data() + offset, interrupt)) all_finite = false;
        };
    });
    return all_finite;
}

template <class Value, class Index>
void bind_simplification(nb::module_& m) {
    using namespace nb::literals;
    m.def("simplify_grid", &simplify_grid<Value, Index>, "values"_a.noconvert(), "indices"_a.noconvert(), "shape"_a,
          "connectivity"_a, "superlevel"_a, "most"_a, "shortest"_a, "threads"_a);
    m.def("simplify_graph", &simplify_graph<Value, Index>, "values"_a.noconvert(), "indices"_a.noconvert(),
          "edges"_a.noconvert(), "superlevel"_a, "most"_a, "shortest"_a, "threads"_a);
}

template <class Value>
void bind(nb::module_& m) {
    using namespace nb::literals;
    bind_simplification<Value, std::int32_t>(m);
    bind_simplification<Value, std::int64_t>(m);
    m.def("grid", &grid<Value>, "values"_a.noconvert(), "shape"_a, "connectivity"_a, "superlevel"_a, "dims"_a, "threads"_a);
    m.def("graph_h0", &graph_h0<Value>, "values"_a.noconvert(), "edges"_a.noconvert(), "superlevel"_a, "threads"_a);
    m.def("rips_h0", &rips_h0<Value>, "distances"_a.noconvert(), "threshold"_a, "threads"_a);
}

}  // namespace

NB_MODULE(_core, m) {
    nb::enum_<Connectivity>(m, "Connectivity")
        .value("FREUDENTHAL", Connectivity::freudenthal)
        .value("VERTICES", Connectivity::vertices)
        .value("TOP_CELLS", Connectivity::top_cells);
    bind<float>(m);
    bind<double>(m);
}
