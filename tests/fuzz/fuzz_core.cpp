// A fuzz target: arbitrary bytes become a batch of grids, graphs, complexes or distance matrices; the core must give the bars of
// the plain method, whatever the threads, report what is not finite, and survive that memory runs out. It aborts if not.
//
// With clang:
//     clang++ -std=c++20 -g -fsanitize=fuzzer,address,undefined -DTOPOLAYER_LIBFUZZER -Wl,--wrap=realloc
//         -Itopolayer/csrc tests/fuzz/*.cpp
// Elsewhere `main`, below, feeds it random bytes or the files it is given:
//     fuzz_core [--count N] [--seed S] [FILE...]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "complex/batch.hpp"
#include "graph/batch.hpp"
#include "grid/batch.hpp"
#include "rips/batch.hpp"
#include "plain.hpp"
#include "plain_complexes.hpp"
#include "plain_graphs.hpp"
#include "trial.hpp"
#include "trial_matchings.hpp"

namespace {

template <class Value>
void try_grid(Bytes& in) {
    const int options = in.byte();
    const auto connectivity = static_cast<topolayer::Connectivity>(options % 3);
    const auto adjacency = static_cast<plain::Adjacency>(options % 3);
    static_assert(int(topolayer::Connectivity::freudenthal) == int(plain::Adjacency::freudenthal));
    static_assert(int(topolayer::Connectivity::vertices) == int(plain::Adjacency::vertices));
    const bool superlevel = options & 64;
    std::vector<std::int64_t> shape(1 + in.upto(2));
    std::int64_t size = 1;
    for (std::int64_t& side : shape) size *= side = 1 + in.upto(shape.size() == 1 ? 255 : shape.size() == 2 ? 70 : 12);
    const int top = static_cast<int>(shape.size()) - 1;
    std::vector<int> dims{0};
    if (top > 0 && options & 128) dims.push_back(top);
    if (top > 0 && !(options & 128) && options & 32) dims = {top};
    if (top == 2 && size <= 300 && in.byte() % 2) dims = options & 128 ? std::vector{0, 1, 2} : std::vector{1};

    const Trial<Value> trial(in, size);
    const auto batch = trial.batch(superlevel);
    const topolayer::Grid grid(shape, connectivity);
    const auto bars = with_little_memory_first(in, [&] { return topolayer::grid_bars(batch, grid, dims); });
    const auto expected = [&](std::int64_t number, int dim) {
        const Value* const sample = trial.sample(number);
        if (dim == 0) return plain::grid_h0(sample, shape, adjacency, superlevel);
        return dim == top ? plain::grid_top(sample, shape, adjacency, superlevel)
                          : plain::volume_h1(sample, shape, adjacency, superlevel);
    };
    trial.expect_bars(bars, dims, expected, "bars of a grid");

    const topolayer::Kept kept{1 + in.upto(9), static_cast<double>(in.upto(3))};
    std::vector<std::int32_t> indices(trial.samples() * size);
    const bool finite = with_little_memory_first(
        in, [&] { return topolayer::simplify_grid(batch, grid, kept, std::span(indices)); });
    trial.expect_indices(finite, indices, [&](std::int64_t number) {
        return plain::simplified(trial.sample(number), size, superlevel, kept.most, static_cast<Value>(kept.shortest),
                                 plain::grid_neighbors(shape, adjacency));
    });
}

template <class Value>
void try_graph(Bytes& in) {
    const int options = in.byte();
    const bool superlevel = options & 1;
    const std::vector<std::vector<int>> choices{{0}, {1}, {0, 1}};
    const std::vector<int>& dims = choices[options / 2 % 3];
    // One graph for all samples, or one for each, which may be empty.
    const bool common = in.byte() % 2;
    const std::int64_t graphs = common ? 1 : in.upto(in.byte() % 16 ? 5 : 40);
    const bool any_vertex = in.byte() % 8 == 0;
    bool valid = true;
    std::vector<std::vector<std::int64_t>> edges(graphs);
    std::vector<std::int64_t> offsets{0}, edge_offsets{0}, ends;
    for (std::int64_t graph = 0; graph < graphs; ++graph) {
        const int vertices = common ? 1 + in.upto(40) : in.upto(in.byte() % 2 ? 40 : 3);
        edges[graph].resize(2 * (vertices ? in.upto(90) : 0));
        for (std::int64_t& end : edges[graph]) {
            end = any_vertex ? static_cast<std::int8_t>(in.byte()) : in.upto(vertices - 1);
            valid &= 0 <= end && end < vertices;
        }
        ends.insert(ends.end(), edges[graph].begin(), edges[graph].end());
        offsets.push_back(offsets.back() + vertices);
        edge_offsets.push_back(static_cast<std::int64_t>(ends.size()) / 2);
    }
    const Trial<Value> trial = common ? Trial<Value>(in, offsets.back()) : Trial<Value>(in, offsets);
    valid |= trial.samples() == 0;
    const auto edges_of = [&](std::int64_t number) { return edges[common ? 0 : number]; };
    const auto batch = trial.batch(superlevel);
    const topolayer::Edges given{ends, edge_offsets};
    const topolayer::Kept kept{1 + in.upto(9), static_cast<double>(in.upto(3))};
    std::vector<std::int32_t> indices(batch.size());
    try {
        const auto bars = with_little_memory_first(in, [&] { return topolayer::graph_bars(batch, given, dims); });
        const bool finite = with_little_memory_first(
            in, [&] { return topolayer::simplify_graph(batch, given, kept, std::span(indices)); });
        expect(valid, "an edge with a vertex that is not there");
        const auto expected = [&](std::int64_t number, int dim) {
            const auto find = dim == 0 ? plain::graph_h0<Value> : plain::graph_h1<Value>;
            return find(trial.sample(number), trial.size(number), edges_of(number), superlevel);
        };
        trial.expect_bars(bars, dims, expected, "bars of a graph");
        const auto extended = with_little_memory_first(in, [&] { return topolayer::extended_graph_bars(batch, given); });
        const auto kind_expected = [&](std::int64_t number, int kind) {
            return plain::extended_graph(trial.sample(number), trial.size(number), edges_of(number), superlevel)[kind];
        };
        trial.expect_bars(extended, {0, 1, 2, 3}, kind_expected, "extended persistence of a graph");
        trial.expect_indices(finite, indices, [&](std::int64_t number) {
            return plain::simplified(trial.sample(number), trial.size(number), superlevel, kept.most,
                                     static_cast<Value>(kept.shortest), plain::graph_neighbors(edges_of(number)));
        });
    } catch (const std::invalid_argument&) {
        expect(!valid, "refused edges");
    }
}

// Values of vertices, of any simplices; and values of cells, of the complex of these, in another order and raised to be monotone.
template <class Value>
void try_complex(Bytes& in) {
    const bool superlevel = in.upto(1), of_vertices = in.upto(1);
    const int vertices = 1 + in.upto(9);
    const auto count = static_cast<std::size_t>(vertices);
    std::vector<plain::Simplex> simplices;
    std::vector<topolayer::Simplices> given;
    bool valid = true;
    for (int groups = in.upto(4); groups > 0; --groups) {
        const int width = 1 + in.upto(std::min(vertices, 5) - 1);
        std::vector<std::int64_t> rows;
        for (int row = in.upto(9); row > 0; --row) {
            plain::Simplex simplex;
            const std::int64_t first = in.upto(vertices - 1);
            while (static_cast<int>(simplex.size()) < width) {
                std::int64_t vertex = in.upto(vertices - 1);
                while (simplex.contains(vertex)) vertex = (vertex + 1) % vertices;
                simplex.insert(vertex);
                rows.push_back(in.byte() == 255 ? first : vertex);
            }
            simplices.push_back(simplex);
            valid &= plain::Simplex(rows.end() - width, rows.end()) == simplex;
        }
        try {
            given.push_back(topolayer::to_simplices(rows, static_cast<std::size_t>(width), count));
        } catch (const std::invalid_argument&) {
            expect(!valid, "refused simplices");
            return;
        }
    }
    if (!valid) return;  // a vertex in the place of another one
    const auto cells = plain::closure(simplices, vertices);
    const int top = static_cast<int>(cells.size()) - 1;
    std::vector<int> dims;
    for (int dim = 0; dim <= top; ++dim)
        if (in.upto(2)) dims.push_back(dim);
    if (dims.empty()) dims = {top};
    if (of_vertices) {
        const Trial<Value> trial(in, vertices);
        const auto bars = with_little_memory_first(in, [&] {
            const auto highest = static_cast<std::size_t>(std::min(dims.back() + 1, top));
            const topolayer::Complex complex(count, topolayer::closure(given, count, highest).facets);
            return topolayer::complex_bars(trial.batch(superlevel), {&complex, 1}, topolayer::ValueOf::vertices, false, dims);
        });
        trial.expect_bars(bars, dims, [&](std::int64_t number, int dim) {
            const Value* const sample = trial.sample(number);
            const auto place = plain::places(sample, vertices, superlevel);
            return plain::complex_bars(sample, vertices, cells, superlevel, dim, [&](std::size_t dimension, std::size_t row) {
                const plain::Simplex& simplex = cells[dimension][row];
                return *std::max_element(simplex.begin(), simplex.end(),
                                         [&](auto a, auto b) { return place[a] < place[b]; });
            });
        }, "bars of a lower-star filtration");
        return;
    }
    const auto lattice = topolayer::closure(given, count, static_cast<std::size_t>(top));
    std::vector<plain::Index> first{0};
    for (int dimension = 0; dimension <= top; ++dimension) {
        const auto& rows = lattice.simplices[dimension];
        expect(rows.size() == cells[dimension].size(), "the number of simplices");
        for (std::size_t row = 0; row < rows.size(); ++row)
            expect(plain::Simplex(rows[row], rows[row] + rows.width) == cells[dimension][row], "simplices");
        if (dimension > 0) {
            topolayer::Simplices facets{rows.width - 1, {}};
            topolayer::add_facets(rows, facets);
            const auto places = topolayer::places(facets, lattice.simplices[dimension - 1], count);
            expect(std::equal(places.begin(), places.end(), lattice.facets[dimension - 1].begin()), "places of facets");
        }
        first.push_back(first.back() + static_cast<plain::Index>(rows.size()));
    }
    Trial<Value> trial(in, first.back());
    for (std::int64_t number = 0; number < trial.samples(); ++number)
        for (int dimension = 1; dimension <= top; ++dimension)
            for (std::size_t i = 0; i < lattice.facets[dimension - 1].size(); ++i) {
                Value* const sample = &trial.values()[number * first.back()];
                Value& own = sample[first[dimension] + i / (dimension + 1)];
                const Value of_facet = sample[first[dimension - 1] + lattice.facets[dimension - 1][i]];
                own = superlevel ? std::min(own, of_facet) : std::max(own, of_facet);
            }
    const auto bars = with_little_memory_first(in, [&] {
        const auto kept = static_cast<std::size_t>(std::min(dims.back() + 1, top));
        const topolayer::Complex complex(count, {lattice.facets.begin(), lattice.facets.begin() + kept});
        return topolayer::complex_bars(trial.batch(superlevel), {&complex, 1}, topolayer::ValueOf::cells, false, dims);
    });
    trial.expect_bars(bars, dims, [&](std::int64_t number, int dim) {
        const Value* const sample = trial.sample(number);
        return plain::complex_bars(sample, first.back(), cells, superlevel, dim, [&](std::size_t dimension, std::size_t row) {
            return first[dimension] + static_cast<plain::Index>(row);
        });
    }, "bars of a filtered complex");
}

template <class Value>
void try_rips(Bytes& in) {
    const std::vector<int> choices_of_dims[] = {{0}, {1}, {0, 1}};
    const std::vector<int>& dims = choices_of_dims[in.upto(2)];
    const int most = dims.back() == 0 || in.byte() % 8 == 0 ? 30 : 12;
    std::vector<std::int64_t> points(in.upto(in.byte() % 16 ? 3 : 40)), offsets{0};
    const int common = in.upto(2 * most);  // of all samples, or none
    for (std::int64_t& count : points) {
        count = common >= 1 && common <= most ? common : 1 + in.upto(most - 1);
        offsets.push_back(offsets.back() + count * count);
    }
    Trial<Value> trial(in, offsets);
    bool valid = true;
    for (Value& distance : trial.values()) {
        distance = std::abs(distance);
        valid &= std::isfinite(distance);
    }
    const auto choice = in.upto(3);
    const Value choices[] = {std::numeric_limits<Value>::infinity(), 0, 1,
                             trial.samples() ? trial.values()[points[0] / 2] : Value{2}};
    const Value threshold = choices[choice];
    const auto bars = with_little_memory_first(
        in, [&] { return topolayer::rips_bars(trial.batch(false), threshold, dims); });
    // What is not finite is refused before; the core may see it or not, but does nothing that is undefined.
    if (!valid || !(threshold >= 0)) return;
    const auto expected = [&](std::int64_t number, int dim) {
        const Value* const sample = trial.sample(number);
        return dim == 0 ? plain::rips_h0(sample, points[number], threshold)
                        : plain::rips_h1(sample, points[number], threshold);
    };
    trial.expect_bars(bars, dims, expected, "bars of Rips");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Bytes in(data, size);
    const int what = in.byte();
    const auto run = [&]<class Value>(Value) {
        if (what / 2 % 8 == 0)
            try_graph<Value>(in);
        else if (what / 2 % 8 == 1)
            try_rips<Value>(in);
        else if (what / 2 % 8 == 2)
            try_complex<Value>(in);
        else if (what / 2 % 8 == 3)
            what / 16 % 4 ? try_grid_matching<Value>(in) : try_graph_matching<Value>(in);
        else
            try_grid<Value>(in);
    };
    what % 2 ? run(float{}) : run(double{});
    return 0;
}

#ifndef TOPOLAYER_LIBFUZZER

namespace {

volatile std::uint64_t current_seed;

// Says how to see a failure again. Sanitizers end here too with abort_on_error=1.
void tell_seed(int signal) {
    char text[64];
    const int length = std::snprintf(text, sizeof text, "to see it again: --count 1 --seed %llu\n",
                                     static_cast<unsigned long long>(current_seed));
    std::fwrite(text, 1, static_cast<std::size_t>(length), stderr);
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

std::vector<std::uint8_t> random_input(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<std::uint8_t> input(random() % (random() % 4 ? 100 : 3000));
    for (std::uint8_t& b : input) b = static_cast<std::uint8_t>(random());
    return input;
}

std::vector<std::uint8_t> read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    return {std::istreambuf_iterator<char>(file), {}};
}

int fuzz(std::uint64_t count, std::uint64_t seed) {
    for (const int signal : {SIGABRT, SIGSEGV, SIGFPE}) {
        const auto before = std::signal(signal, tell_seed);
        if (before != SIG_DFL) std::signal(signal, before);  // a sanitizer's: it reports, and aborts then
    }
    const auto start = std::chrono::steady_clock::now();
    auto told = start;
    for (std::uint64_t i = 0; i < count; ++i) {
        current_seed = seed + i;
        const auto input = random_input(current_seed);
        LLVMFuzzerTestOneInput(input.data(), input.size());
        const auto now = std::chrono::steady_clock::now();
        if (now - told < std::chrono::seconds(5) && i + 1 < count) continue;
        told = now;
        const double seconds = std::chrono::duration<double>(now - start).count();
        const double left = seconds / static_cast<double>(i + 1) * static_cast<double>(count - i - 1);
        std::fprintf(stderr, "%llu of %llu inputs, %.0f s left\n", static_cast<unsigned long long>(i + 1),
                     static_cast<unsigned long long>(count), left);
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t count = 100'000, seed = 0;
    std::vector<std::string> files;
    try {
        for (int i = 1; i < argc; ++i) {
            const std::string argument = argv[i];
            if (argument == "--count" && i + 1 < argc)
                count = std::stoull(argv[++i]);
            else if (argument == "--seed" && i + 1 < argc)
                seed = std::stoull(argv[++i]);
            else if (argument.starts_with("--"))
                throw std::invalid_argument("unknown option " + argument);
            else
                files.push_back(argument);
        }
        for (const std::string& file : files) {
            const auto input = read_file(file);
            LLVMFuzzerTestOneInput(input.data(), input.size());
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\nusage: %s [--count N] [--seed S] [FILE...]\n", argv[0], error.what(), argv[0]);
        return 2;
    }
    return files.empty() ? fuzz(count, seed) : 0;
}

#endif
