// A fuzz target: arbitrary bytes become a batch of grids, graphs or distance matrices; the core must give the bars of
// the plain method, whatever the threads, report what is not finite, and survive that memory runs out. It aborts if not.
//
// With clang:
//     clang++ -std=c++20 -g -fsanitize=fuzzer,address,undefined -DTOPOLAYER_LIBFUZZER -Wl,--wrap=realloc
//         -Itopolayer/csrc tests/fuzz/*.cpp
// Elsewhere `main`, below, feeds it random bytes or the files it is given:
//     fuzz_core [--count N] [--seed S] [FILE...]
#include <bit>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <limits>
#include <new>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "batch.hpp"
#include "memory.hpp"
#include "plain.hpp"
#include "plain_graphs.hpp"

namespace {

#if defined(__SANITIZE_THREAD__)
constexpr bool can_run_out_of_memory = false;  // the sanitizer hangs when a function throws under std::call_once
#else
constexpr bool can_run_out_of_memory = true;
#endif

// Reads what is left of the input; zeros after its end.
class Bytes {
public:
    Bytes(const std::uint8_t* data, std::size_t size) : next_(data), end_(data + size) {}

    std::uint8_t byte() { return next_ < end_ ? *next_++ : 0; }

    // From 0 to `largest`.
    int upto(int largest) { return byte() % (largest + 1); }

    template <class Value>
    Value raw() {
        std::uint8_t bytes[sizeof(Value)];
        for (std::uint8_t& b : bytes) b = byte();
        return std::bit_cast<Value>(bytes);
    }

private:
    const std::uint8_t *next_, *end_;
};

template <class Value>
std::vector<Value> read_values(Bytes& in, std::size_t count) {
    using Limits = std::numeric_limits<Value>;
    constexpr Value special[] = {0, Value{-0.0}, 1, -1, Limits::denorm_min(), -Limits::denorm_min(), Limits::max(),
                                 Limits::lowest(), Limits::min(), 1 + Limits::epsilon(), 3 * Limits::denorm_min(), 0, 2,
                                 Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN()};
    std::vector<Value> values(count);
    const int way = in.upto(4), among = 1 + in.byte();
    std::minstd_rand random(in.raw<std::uint32_t>());
    for (Value& value : values) switch (way) {
            case 0: value = static_cast<Value>(in.byte() % (1 + among % 8)); break;
            case 1: value = special[in.byte() % (among % 8 ? 13 : 16)]; break;
            case 2: value = in.raw<Value>(); break;
            // many values from few bytes: noise with ties, and without
            case 3: value = static_cast<Value>(random() % among); break;
            case 4: value = static_cast<Value>(random()); break;
        }
    return values;
}

[[noreturn]] void disagree(const char* what) {
    std::fprintf(stderr, "disagreement: %s\n", what);
    std::abort();
}

void expect(bool holds, const char* what) {
    if (!holds) disagree(what);
}

bool all_finite(const auto* values, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
        if (!std::isfinite(values[i])) return false;
    return true;
}

// Runs it once with all the memory, after it had as little as the input says: that ends well, or in bad_alloc.
template <class Compute>
auto with_little_memory_first(Bytes& in, Compute compute) {
    const int allocations = in.byte();
    if (can_run_out_of_memory && allocations % 2) {
        try {
            const memory::Scarce scarce(allocations / 2);
            compute();
        } catch (const std::bad_alloc&) {
        }
    }
    return compute();
}

// What the core is given of the input, and what it must find of it.
template <class Value>
class Trial {
public:
    Trial(Bytes& in, std::int64_t values_per_sample)
        : size_(values_per_sample),
          values_(read_values<Value>(in, size_ * in.upto(in.byte() % 16 ? 3 : 40))),
          threads_(1 + in.upto(4)) {}

    std::vector<Value>& values() { return values_; }
    std::int64_t samples() const { return static_cast<std::int64_t>(values_.size()) / size_; }
    const Value* sample(std::int64_t number) const { return &values_[number * size_]; }
    int threads() const { return threads_; }

    topolayer::Batch<Value> batch(bool superlevel) const {
        return {values_.data(), samples(), size_, superlevel, threads_};
    }

    // `expected` makes the bars of a sample that is finite, in a dimension.
    void expect_bars(const topolayer::BatchBars& found, const std::vector<int>& dims, auto expected, const char* what) const {
        topolayer::BatchBars all;
        for (std::int64_t number = 0; number < samples(); ++number)
            for (const int dim : dims) {
                if (!all_finite(sample(number), size_)) {
                    all.all_finite = false;
                    continue;
                }
                const plain::Bars bars = expected(sample(number), dim);
                append(all.finite, bars.finite, 2, dim, number);
                append(all.essential, bars.essential, 1, dim, number);
            }
        expect(found.all_finite == all.all_finite, "whether all is finite");
        for (const auto part : {&topolayer::BatchBars::finite, &topolayer::BatchBars::essential}) {
            expect((found.*part).indices == (all.*part).indices, what);
            expect((found.*part).dims == (all.*part).dims, "dimensions");
            expect((found.*part).samples == (all.*part).samples, "samples");
        }
    }

    // `expected` makes the values that a sample takes. Each must be that of the sample's entry with the index that was found.
    void expect_indices(bool finite, const std::vector<std::int32_t>& indices, auto expected) const {
        expect(finite == all_finite(values_.data(), values_.size()), "simplified, not finite");
        for (std::int64_t number = 0; finite && number < samples(); ++number) {
            const auto simplified = expected(sample(number));
            for (std::int64_t i = 0; i < size_; ++i) {
                const std::int64_t index = indices[number * size_ + i] - number * size_;
                expect(0 <= index && index < size_ && sample(number)[index] == simplified[i], "simplified");
                expect(index == i || simplified[i] != sample(number)[i], "simplified without need");
            }
        }
    }

private:
    void append(topolayer::JoinedBars& bars, const std::vector<plain::Index>& found, std::size_t per_bar, int dim,
                std::int64_t number) const {
        for (const plain::Index index : found) bars.indices.push_back(number * size_ + index);
        bars.dims.insert(bars.dims.end(), found.size() / per_bar, dim);
        bars.samples.insert(bars.samples.end(), found.size() / per_bar, number);
    }

    std::int64_t size_;
    std::vector<Value> values_;
    int threads_;
};

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
    const auto expected = [&](const Value* sample, int dim) {
        if (dim == 0) return plain::grid_h0(sample, shape, adjacency, superlevel);
        return dim == top ? plain::grid_top(sample, shape, adjacency, superlevel)
                          : plain::volume_h1(sample, shape, adjacency, superlevel);
    };
    trial.expect_bars(bars, dims, expected, "bars of a grid");

    const topolayer::Kept kept{1 + in.upto(9), static_cast<double>(in.upto(3))};
    std::vector<std::int32_t> indices(trial.samples() * size);
    const bool finite = with_little_memory_first(
        in, [&] { return topolayer::simplify_grid(batch, grid, kept, std::span(indices)); });
    trial.expect_indices(finite, indices, [&](const Value* sample) {
        return plain::simplified(sample, size, superlevel, kept.most, static_cast<Value>(kept.shortest),
                                 plain::grid_neighbors(shape, adjacency));
    });
}

template <class Value>
void try_graph(Bytes& in) {
    const int options = in.byte();
    const bool superlevel = options & 1;
    const std::vector<std::vector<int>> choices{{0}, {1}, {0, 1}};
    const std::vector<int>& dims = choices[options / 2 % 3];
    const int vertices = 1 + in.upto(40), edges = in.upto(90);
    const bool any_vertex = in.byte() % 8 == 0;
    std::vector<std::int64_t> ends(2 * edges);
    bool valid = true;
    for (std::int64_t& end : ends) {
        end = any_vertex ? static_cast<std::int8_t>(in.byte()) : in.upto(vertices - 1);
        valid &= 0 <= end && end < vertices;
    }
    const Trial<Value> trial(in, vertices);
    const auto batch = trial.batch(superlevel);
    const topolayer::Kept kept{1 + in.upto(9), static_cast<double>(in.upto(3))};
    std::vector<std::int32_t> indices(trial.samples() * vertices);
    try {
        const auto bars = with_little_memory_first(
            in, [&] { return topolayer::graph_bars(batch, topolayer::Graph(vertices, ends), dims); });
        const bool finite = with_little_memory_first(in, [&] {
            return topolayer::simplify_graph(batch, topolayer::Graph(vertices, ends), kept, std::span(indices));
        });
        expect(valid, "an edge with a vertex that is not there");
        const auto expected = [&](const Value* sample, int dim) {
            return dim == 0 ? plain::graph_h0(sample, vertices, ends, superlevel)
                            : plain::graph_h1(sample, vertices, ends, superlevel);
        };
        trial.expect_bars(bars, dims, expected, "bars of a graph");
        const auto extended = with_little_memory_first(
            in, [&] { return topolayer::extended_graph_bars(batch, topolayer::Graph(vertices, ends)); });
        const auto kind_expected = [&](const Value* sample, int kind) {
            return plain::extended_graph(sample, vertices, ends, superlevel)[kind];
        };
        trial.expect_bars(extended, {0, 1, 2, 3}, kind_expected, "extended persistence of a graph");
        trial.expect_indices(finite, indices, [&](const Value* sample) {
            return plain::simplified(sample, vertices, superlevel, kept.most, static_cast<Value>(kept.shortest),
                                     plain::graph_neighbors(ends));
        });
    } catch (const std::invalid_argument&) {
        expect(!valid, "refused edges");
    }
}

template <class Value>
void try_rips(Bytes& in) {
    const std::vector<int> choices_of_dims[] = {{0}, {1}, {0, 1}};
    const std::vector<int>& dims = choices_of_dims[in.upto(2)];
    const int points = 1 + in.upto(dims.back() == 0 || in.byte() % 8 == 0 ? 30 : 12);
    Trial<Value> trial(in, points * points);
    bool valid = true;
    for (Value& distance : trial.values()) {
        distance = std::abs(distance);
        valid &= std::isfinite(distance);
    }
    const auto choice = in.upto(3);
    const Value choices[] = {std::numeric_limits<Value>::infinity(), 0, 1,
                             trial.samples() ? trial.values()[points / 2] : Value{2}};
    const Value threshold = choices[choice];
    const auto bars = with_little_memory_first(
        in, [&] { return topolayer::rips_bars(trial.batch(false), points, threshold, dims); });
    // What is not finite is refused before; the core may see it or not, but does nothing that is undefined.
    if (!valid || !(threshold >= 0)) return;
    const auto expected = [&](const Value* sample, int dim) {
        return dim == 0 ? plain::rips_h0(sample, points, threshold) : plain::rips_h1(sample, points, threshold);
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
