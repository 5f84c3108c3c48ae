// Filtration values: their total order as unsigned integers, whether they are finite, a bound in their precision.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace topolayer {

using Position = std::uint32_t;  // within a sample, in C order
using Label = std::uint32_t;     // of an extremum: how many precede it in C order

template <class Value>
using Key = std::conditional_t<sizeof(Value) <= 4, std::uint32_t, std::uint64_t>;

template <class Value>
Key<Value> order_key_of_float(Value value, bool superlevel) {
    constexpr Key<Value> sign = Key<Value>{1} << (8 * sizeof(Value) - 1);
    const auto bits = std::bit_cast<Key<Value>>(value + Value{0});  // -0.0 + 0.0 is +0.0
    const Key<Value> ascending = (bits & sign) ? static_cast<Key<Value>>(~bits) : static_cast<Key<Value>>(bits | sign);
    return superlevel ? static_cast<Key<Value>>(~ascending) : ascending;
}

// Monotone in `value` (antitone when `superlevel`), the same for -0.0 and +0.0. Comparing keys and then positions is the
// order in which cells enter the filtration. No finite value has the smallest or the largest key.
template <class Value>
Key<Value> order_key(Value value, bool superlevel) {
    if constexpr (std::is_integral_v<Value>) {
        const auto ascending = static_cast<Key<Value>>(1 + value - std::numeric_limits<Value>::min());
        return superlevel ? ~ascending : ascending;
    } else {
        return order_key_of_float(value, superlevel);
    }
}

// The bits are looked at as integers, many at once: floats would have to be added one after the other.
template <class Value>
bool are_finite([[maybe_unused]] const Value* values, [[maybe_unused]] std::int64_t count) {
    if constexpr (std::is_integral_v<Value>) {
        return true;
    } else {
        constexpr Key<Value> exponent = sizeof(Value) == 4 ? static_cast<Key<Value>>(0x7f800000u)
                                                           : static_cast<Key<Value>>(0x7ff0000000000000u);
        Key<Value> bad = 0;
        for (std::int64_t i = 0; i < count; ++i)
            bad |= (std::bit_cast<Key<Value>>(values[i]) & exponent) == exponent ? Key<Value>{1} : Key<Value>{0};
        return bad == 0;
    }
}

template <class Value>
Value rounded(double bound) {
    constexpr double largest = std::numeric_limits<Value>::max();
    return bound > largest ? std::numeric_limits<Value>::infinity() : static_cast<Value>(bound);
}

}  // namespace topolayer
