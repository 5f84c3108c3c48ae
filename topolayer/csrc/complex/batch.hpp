// Barcodes of simplicial complexes, for a batch.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>

#include "common/batch.hpp"
#include "common/values.hpp"
#include "complex/complex.hpp"
#include "complex/order.hpp"
#include "complex/persistence.hpp"

namespace topolayer {

// `dims` ascend. There is a complex for all samples, or one for each. There may be values of cells of higher dimensions, which
// are not looked at but to see that they are finite.
template <class Value>
BatchBars complex_bars(const Batch<Value>& batch, std::span<const Complex> complexes, ValueOf value_of, bool is_ball,
                       std::span<const int> dims) {
    const auto samples = static_cast<std::size_t>(batch.samples());
    if (complexes.size() != 1 && complexes.size() != samples)
        throw std::invalid_argument("there must be one complex, or one for each sample");
    const auto complex_of = [&](std::int64_t number) -> const Complex& { return complexes[complexes.size() == 1 ? 0 : number]; };
    for (std::int64_t number = 0; number < batch.samples(); ++number) {
        const Complex& complex = complex_of(number);
        const auto cells = static_cast<std::int64_t>(value_of == ValueOf::cells ? complex.size() : complex.size(0));
        const std::int64_t values = batch.size_of(number);
        if (value_of == ValueOf::cells ? values < cells : values != cells)
            throw std::invalid_argument("the values of a sample do not fill what they are given on");
    }
    return find_bars(batch, dims, [&] {
        return [&, persistence = ComplexPersistence<Value>()](const Sample<Value>& sample, Bars* bars) mutable {
            bars[0].nonfinite = !are_finite(sample.values, sample.size);
            if (!bars[0].nonfinite) persistence(sample, complex_of(sample.number), value_of, is_ball, dims, bars);
        };
    });
}

}  // namespace topolayer
