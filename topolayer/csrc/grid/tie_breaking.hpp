// Two functions on one grid whose loops are to be compared: equal values of one are put in the order of the other, where the
// result does not depend on it. Masks have little else than equal values.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "common/buffer.hpp"
#include "common/sample.hpp"
#include "common/values.hpp"
#include "grid/grid.hpp"

namespace topolayer {

// What is looked for are edges in the order of one function, the rows, and faces in that of another one that is nowhere later, the
// columns, such that the edge enters before the face by value. There is no such edge for faces at the first value of the columns:
// voxels with this value may have the order of the rows. And there is no such face for edges that enter with the last value of
// the columns or later: their voxels may have the order of the columns.
//
// Buffers are kept from one call to the next.
template <class Value>
class TieBreaking {
public:
    using Word = Key<Value>;

    // Of a function: as it is; its values replaced; or that of the other function.
    enum class Order { given, replaced, other };

    struct Orders {
        Order rows = Order::given, columns = Order::given;
    };

    // Orders that make less work. Where they are as they were, little would be gained, or there are not enough numbers.
    Orders operator()(const Sample<Value>& rows, const Sample<Value>& columns, const Grid& grid, bool reversed) {
        if (rows.superlevel != reversed) return orders<true>(rows.values, columns.values, grid, reversed);
        return orders<false>(rows.values, columns.values, grid, reversed);
    }

    // As samples of the same kind as the given ones: the order of their values is that in which voxels enter.
    Sample<Value> rows(const Sample<Value>& given, bool reversed) const { return changed(row_numbers_, given, reversed); }
    Sample<Value> columns(const Sample<Value>& given, bool reversed) const { return changed(column_numbers_, given, reversed); }

    std::size_t bytes() const { return row_numbers_.bytes() + column_numbers_.bytes(); }

private:
    // The loops have no branches, so that the compiler vectorizes them.
    template <bool high_first>
    Orders orders(const Value* row_values, const Value* column_values, const Grid& grid, bool reversed) {
        const std::int64_t voxels = grid.size();
        const auto keys_at = [=](std::int64_t i) {
            return std::pair(order_key(row_values[i], high_first), order_key(column_values[i], high_first));
        };
        Word first = std::numeric_limits<Word>::max(), last = 0;
        for (std::int64_t i = 0; i < voxels; ++i) {
            const Word column = keys_at(i).second;
            first = std::min(first, column);
            last = std::max(last, column);
        }
        // How many voxels are neither among the first columns nor among the last rows, and how many could change their order.
        Word between = 0, last_rows = 0, first_columns = 0;
        for (std::int64_t i = 0; i < voxels; ++i) {
            const auto [row, column] = keys_at(i);
            const Word is_first = column == first, is_last = row >= last;
            between += (is_first | is_last) ^ 1;
            last_rows += is_last & (is_first ^ 1);
            first_columns += is_first & (row != first);
        }
        if (between == 0 && (first_columns == 0 || all_alone(keys_at, grid, first, reversed)))
            return {Order::other, Order::given};
        if (between == 0 && rows_put_columns_in_order(keys_at, voxels, first, last)) return {Order::given, Order::other};
        const Word range = last - first;
        if (range > (largest - smallest) / 2) return {};
        const Word many = static_cast<Word>(voxels / fraction);
        const bool rows_change = between > 0 && last_rows > many, columns_change = between == 0 || first_columns > many;
        if (rows_change) {
            row_numbers_.renew(static_cast<std::size_t>(voxels));
            Value* const numbers = row_numbers_.begin();
            for (std::int64_t i = 0; i < voxels; ++i) {
                const auto [row, column] = keys_at(i);
                numbers[i] = number(row < last ? row - first : range + (column - first));
            }
        }
        if (columns_change) {
            column_numbers_.renew(static_cast<std::size_t>(voxels));
            Value* const numbers = column_numbers_.begin();
            for (std::int64_t i = 0; i < voxels; ++i) {
                const auto [row, column] = keys_at(i);
                numbers[i] = number(column > first ? range + (column - first) : std::min(row, last) - first);
            }
        }
        return {between == 0 ? Order::other : rows_change ? Order::replaced : Order::given,
                columns_change ? Order::replaced : Order::given};
    }

    // Whether each of the first columns that is not among the first rows has no neighbor among the first columns. Then no edge
    // and no face enters with it, so its place among them does not matter. The maximum of a prediction is such a voxel.
    template <class KeysAt>
    static bool all_alone(KeysAt keys_at, const Grid& grid, Word first, bool reversed) {
        for (std::int64_t i = 0; i < grid.size(); ++i) {
            const auto [row, column] = keys_at(i);
            if (column != first || row == first) continue;
            for (unsigned direction = 0; direction < grid.neighbors().size(); ++direction) {
                const bool outside = grid.leaves(i, direction);
                if (outside ? reversed : keys_at(i + grid.step(direction)).second == first) return false;
            }
        }
        return true;
    }

    // The columns have two values, and the rows put all of the first one before the others, which are equal.
    template <class KeysAt>
    static bool rows_put_columns_in_order(KeysAt keys_at, std::int64_t voxels, Word first, Word last) {
        Word latest_of_first = 0, earliest_of_last = std::numeric_limits<Word>::max(), latest_of_last = 0;
        for (std::int64_t i = 0; i < voxels; ++i) {
            const auto [row, column] = keys_at(i);
            if (column != first && column != last) return false;
            if (column == first) {
                latest_of_first = std::max(latest_of_first, row);
            } else {
                earliest_of_last = std::min(earliest_of_last, row);
                latest_of_last = std::max(latest_of_last, row);
            }
        }
        return latest_of_first < earliest_of_last && earliest_of_last == latest_of_last;
    }

    static constexpr std::int64_t fraction = 64;
    static constexpr Word sign = Word{1} << (8 * sizeof(Value) - 1);
    static constexpr Word smallest = static_cast<Word>(~std::bit_cast<Word>(std::numeric_limits<Value>::lowest()));
    static constexpr Word largest = std::bit_cast<Word>(std::numeric_limits<Value>::max()) | sign;

    // The finite values in their order: -0.0 is no other than 0.0.
    static Value number(Word index) {
        Word key = static_cast<Word>(smallest + index);
        key += key >= sign - 1;
        const Word rest = (key >> (8 * sizeof(Value) - 1)) - 1;  // of a number below zero all bits are flipped
        return std::bit_cast<Value>(static_cast<Word>(key ^ (sign | rest)));
    }

    static Sample<Value> changed(const Buffer<Value>& values, const Sample<Value>& given, bool reversed) {
        return {values.begin(), given.size, given.first, given.number, reversed, given.threads, given.interrupt};
    }

    Buffer<Value> row_numbers_, column_numbers_;
};

}  // namespace topolayer
