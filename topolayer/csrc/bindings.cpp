// Python bindings: unpack arrays, release the GIL, call the algorithms, pack the result.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

#include "bars.hpp"
#include "extremum_graph.hpp"
#include "graph.hpp"
#include "grid.hpp"
#include "parallel.hpp"
#include "rips.hpp"

namespace nb = nanobind;
using namespace topolayer;

namespace {

template <class Value, class Shape>
using Input = nb::ndarray<const Value, Shape, nb::c_contig, nb::device::cpu>;
using Indices = nb::ndarray<nb::numpy, std::int64_t>;
// finite (n, 2), their number per sample and dimension, essential (m,), their number per sample and dimension, and whether
// all values were finite
using Result = std::tuple<Indices, Indices, Indices, Indices, bool>;

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
    std::vector<std::int64_t> finite, finite_counts, essential, essential_counts;
    bool all_finite = true;

    // Indices become flat into the whole batch.
    Joined(const std::vector<Bars>& batch, std::int64_t dims, std::int64_t values_per_sample) {
        for (std::size_t i = 0; i < batch.size(); ++i) {
            const Bars& bars = batch[i];
            const std::int64_t offset = static_cast<std::int64_t>(i) / dims * values_per_sample;
            all_finite &= !bars.nonfinite;
            for (const std::int64_t index : bars.finite) finite.push_back(offset + index);
            for (const std::int64_t index : bars.essential) essential.push_back(offset + index);
            finite_counts.push_back(static_cast<std::int64_t>(bars.finite.size() / 2));
            essential_counts.push_back(static_cast<std::int64_t>(bars.essential.size()));
        }
    }

    Result to_python() && {
        return {to_numpy(std::move(finite), 2), to_numpy(std::move(finite_counts)), to_numpy(std::move(essential)),
                to_numpy(std::move(essential_counts)), all_finite};
    }
};

// Runs algorithm(first value of the sample, its bars in `dims` dimensions) on all samples; `make_algorithm` makes one per
// thread.
template <class Value, class MakeAlgorithm>
Result run(const Value* values, std::int64_t samples, std::int64_t values_per_sample, std::int64_t dims, int threads,
           MakeAlgorithm make_algorithm) {
    std::optional<Joined> joined;
    {
        nb::gil_scoped_release unlocked;
        std::vector<Bars> batch(samples * dims);
        for_each_sample(samples, values_per_sample, threads, [&] {
            return [&, algorithm = make_algorithm()](std::int64_t sample) mutable {
                algorithm(values + sample * values_per_sample, &batch[sample * dims]);
            };
        });
        joined.emplace(batch, dims, values_per_sample);
    }
    return std::move(*joined).to_python();
}

Connectivity dual(Connectivity connectivity) {
    switch (connectivity) {
        case Connectivity::vertices: return Connectivity::top_cells;
        case Connectivity::top_cells: return Connectivity::vertices;
        case Connectivity::freudenthal: break;
    }
    return connectivity;
}

// `dims`, ascending: 0, and the number of axes less one.
template <class Value>
Result grid(Input<Value, nb::ndim<2>> values, const std::vector<std::int64_t>& shape, Connectivity connectivity,
            bool superlevel, const std::vector<int>& dims, int threads) {
    const Grid primal(shape, connectivity), reversed(shape, dual(connectivity));
    if (primal.size() != static_cast<std::int64_t>(values.shape(1)))
        throw std::invalid_argument("the values of a sample do not fill the grid");
    const auto count = static_cast<std::int64_t>(dims.size());
    return run(values.data(), values.shape(0), values.shape(1), count, threads, [&] {
        return [&, graph = ExtremumGraph<Value>()](const Value* sample, Bars* bars) mutable {
            for (const int dim : dims) {
                if (dim == 0)
                    graph.h0(sample, primal, superlevel, *bars++);
                else
                    graph.top(sample, reversed, superlevel, *bars++);
            }
        };
    });
}

template <class Value>
Result graph_h0(Input<Value, nb::ndim<2>> values, Input<std::int64_t, nb::shape<-1, 2>> edges, bool superlevel,
                int threads) {
    const Graph graph(values.shape(1), {edges.data(), edges.size()});
    return run(values.data(), values.shape(0), values.shape(1), 1, threads, [&] {
        return [&, h0 = GraphH0<Value>()](const Value* sample, Bars* bars) mutable { h0(sample, graph, superlevel, *bars); };
    });
}

template <class Value>
Result rips_h0(Input<Value, nb::ndim<3>> distances, double threshold, int threads) {
    const auto points = static_cast<std::int64_t>(distances.shape(1));
    constexpr double largest = std::numeric_limits<Value>::max();
    const Value longest = threshold > largest ? std::numeric_limits<Value>::infinity() : static_cast<Value>(threshold);
    return run(distances.data(), distances.shape(0), points * points, 1, threads, [&] {
        return [&, h0 = RipsH0<Value>()](const Value* sample, Bars* bars) mutable {
            h0(sample, points, longest, *bars);
        };
    });
}

template <class Value>
void bind(nb::module_& m) {
    using namespace nb::literals;
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
