// A batch of samples, which are spread over threads and whose bars are collected. The batch.hpp of each room has the computations.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "common/bars.hpp"
#include "common/interrupt.hpp"
#include "common/matching.hpp"
#include "common/parallel.hpp"
#include "common/sample.hpp"

namespace topolayer {

template <class Value>
struct Batch {
    const Value* values;
    std::vector<std::int64_t> offsets;  // where the values of each sample begin, and where those of the last one end
    bool superlevel;
    int threads;
    std::function<void()> check = [] {};  // see Interrupt

    std::int64_t samples() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
    std::int64_t size() const { return offsets.back(); }
    std::int64_t size_of(std::int64_t number) const { return offsets[number + 1] - offsets[number]; }
};

inline std::vector<std::int64_t> offsets_of_one_size(std::int64_t samples, std::int64_t values_per_sample) {
    std::vector<std::int64_t> offsets(static_cast<std::size_t>(samples) + 1);
    for (std::int64_t number = 0; number <= samples; ++number) offsets[number] = number * values_per_sample;
    return offsets;
}

// The bars of all samples and dimensions, one after another. Indices are flat into the whole batch.
struct JoinedBars {
    std::vector<std::int64_t> indices, dims, samples;
};

struct BatchBars {
    JoinedBars finite, essential;
    bool all_finite = true;  // of the values: a sample where one is not has no bars
};

// Calls algorithm(sample) for all samples that have values; `make_algorithm` makes one per thread.
template <class Value, class MakeAlgorithm>
void for_each_sample(const Batch<Value>& batch, MakeAlgorithm make_algorithm) {
    Interrupt interrupt(batch.check);
    const int threads_each = threads_per_sample(batch.threads, batch.samples());
    for_each_task(batch.samples(), batch.size(), batch.threads, interrupt, [&] {
        return [&, algorithm = make_algorithm()](std::int64_t number) mutable {
            const std::int64_t first = batch.offsets[number], size = batch.size_of(number);
            if (size == 0) return;
            algorithm(Sample<Value>{batch.values + first, size, first, number, batch.superlevel, threads_each, interrupt});
            interrupt.look();
        };
    });
}

// Joins the finite or the essential bars, as `part` says. The indices of a single sample and dimension are moved.
inline JoinedBars joined(std::span<Bars> found, std::vector<std::int64_t> Bars::*part, std::size_t indices_per_bar,
                         std::span<const int> dims, std::span<const std::int64_t> offsets) {
    JoinedBars result;
    std::size_t size = 0;
    for (const Bars& bars : found) size += (bars.*part).size();
    if (found.size() > 1) result.indices.reserve(size);
    result.dims.reserve(size / indices_per_bar);
    result.samples.reserve(size / indices_per_bar);
    for (std::size_t i = 0; i < found.size(); ++i) {
        std::vector<std::int64_t>& indices = found[i].*part;
        const auto sample = static_cast<std::int64_t>(i / dims.size());
        const std::size_t bars = result.samples.size() + indices.size() / indices_per_bar;
        result.dims.resize(bars, dims[i % dims.size()]);
        result.samples.resize(bars, sample);
        if (found.size() == 1)
            result.indices = std::move(indices);
        else
            for (const std::int64_t index : indices) result.indices.push_back(offsets[sample] + index);
    }
    return result;
}

inline BatchBars joined(std::span<Bars> found, std::span<const int> dims, std::span<const std::int64_t> offsets) {
    BatchBars result;
    for (const Bars& bars : found) result.all_finite &= !bars.nonfinite;
    result.finite = joined(found, &Bars::finite, 2, dims, offsets);
    result.essential = joined(found, &Bars::essential, 1, dims, offsets);
    return result;
}

// Calls algorithm(sample, its bars in each of the dimensions) for all samples.
template <class Value, class MakeAlgorithm>
BatchBars find_bars(const Batch<Value>& batch, std::span<const int> dims, MakeAlgorithm make_algorithm) {
    std::vector<Bars> found(static_cast<std::size_t>(batch.samples()) * dims.size());
    for_each_sample(batch, [&] {
        return [&, algorithm = make_algorithm()](const Sample<Value>& sample) mutable {
            algorithm(sample, &found[static_cast<std::size_t>(sample.number) * dims.size()]);
        };
    });
    return joined(found, dims, batch.offsets);
}

template <class Value>
void check_size(const Batch<Value>& batch, std::int64_t values_per_sample) {
    for (std::int64_t number = 0; number < batch.samples(); ++number)
        if (batch.size_of(number) != values_per_sample)
            throw std::invalid_argument("the values of a sample do not fill what they are given on");
}

// The bars of two batches, and the pairs of indices of those that are matched, one after another.
struct BatchMatching {
    BatchBars first, second;
    std::vector<std::int64_t> pairs;
};

// Calls algorithm(sample, the one of the second batch, their bars and pairs in each of the dimensions) for all samples.
template <class Value, class MakeAlgorithm>
BatchMatching find_matching(const Batch<Value>& first, const Batch<Value>& second, std::span<const int> dims,
                            MakeAlgorithm make_algorithm) {
    if (first.offsets != second.offsets) throw std::invalid_argument("the two batches differ in shape");
    std::vector<MatchedBars> found(static_cast<std::size_t>(first.samples()) * dims.size());
    for_each_sample(first, [&] {
        return [&, algorithm = make_algorithm()](const Sample<Value>& sample) mutable {
            Sample<Value> other = sample;
            other.values = second.values + sample.first;
            algorithm(sample, other, &found[static_cast<std::size_t>(sample.number) * dims.size()]);
        };
    });
    std::vector<Bars> firsts, seconds;
    BatchMatching result;
    std::int64_t firsts_before = 0, seconds_before = 0;
    for (MatchedBars& bars : found) {
        for (std::size_t i = 0; i < bars.pairs.size(); i += 2) {
            result.pairs.push_back(firsts_before + bars.pairs[i]);
            result.pairs.push_back(seconds_before + bars.pairs[i + 1]);
        }
        firsts_before += static_cast<std::int64_t>(bars.first.finite.size() / 2);
        seconds_before += static_cast<std::int64_t>(bars.second.finite.size() / 2);
        firsts.push_back(std::move(bars.first));
        seconds.push_back(std::move(bars.second));
    }
    result.first = joined(firsts, dims, first.offsets);
    result.second = joined(seconds, dims, first.offsets);
    return result;
}

// Writes an index for each value, and says whether all values were finite: a sample where one is not has no indices.
// Calls algorithm(sample, indices of the sample), which says the same of a sample.
template <class Value, class Index, class MakeAlgorithm>
bool write_indices(const Batch<Value>& batch, std::span<Index> indices, MakeAlgorithm make_algorithm) {
    if (static_cast<std::int64_t>(indices.size()) != batch.size())
        throw std::invalid_argument("there must be one index for each value");
    if (!indices.empty() && indices.size() - 1 > static_cast<std::size_t>(std::numeric_limits<Index>::max()))
        throw std::invalid_argument("an index does not fit in its type");
    std::atomic<bool> all_finite = true;
    for_each_sample(batch, [&] {
        return [&, algorithm = make_algorithm()](const Sample<Value>& sample) mutable {
            if (!algorithm(sample, indices.data() + sample.first)) all_finite = false;
        };
    });
    return all_finite;
}

}  // namespace topolayer
