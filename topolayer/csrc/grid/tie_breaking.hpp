// Two functions on one grid whose loops are to be compared: equal values of one are put in the order of the other, where the
// result does not depend on it. Masks have little else than equal values.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "common/buffer.hpp"
#include "common/sample.hpp"
#include "common/values.hpp"

namespace topolayer {

// For the image of a function, of the rows, in another one, of the columns, that is nowhere later. Before the first faces of the
// second function no edge has entered that they could kill: so all voxels that enter it first may have the order of the first
// function. And the edges of voxels that do not enter the first function before all faces are there are killed by none: they
// may have the order of the second function.
//
// Buffers are kept from one call to the next.
template <class Value>
class TieBreaking {
public:
    using Word = Key<Value>;

    enum class Result {
        unchanged,     // little would be gained, or there are not enough numbers
        as_rows,       // the columns may have the order of the rows
        as_columns,    // the rows may have the order of the columns: as it was, or
        as_changed,    // as it is now
        rows_changed,  // each has an order of its own
        columns_changed,
        both_changed,
    };

    Result operator()(const Sample<Value>& rows, const Sample<Value>& columns, std::int64_t voxels, bool reversed) {
        const bool high_first = rows.superlevel != reversed;
        const auto for_each = [&](auto function) {
            for (std::int64_t i = 0; i < voxels; ++i)
                function(i, order_key(rows.values[i], high_first), order_key(columns.values[i], high_first));
        };
        Word first = std::numeric_limits<Word>::max(), last = 0;
        for_each([&](std::int64_t, Word, Word column) {
            first = std::min(first, column);
            last = std::max(last, column);
        });
        // How many voxels are neither among the first columns nor among the last rows; how many could change their order.
        std::int64_t between = 0, last_rows = 0, first_columns = 0, mixed = 0;
        Word most_of_first = 0, least_of_others = std::numeric_limits<Word>::max(), most_of_others = 0;
        for_each([&](std::int64_t, Word row, Word column) {
            between += (row < last) & (column > first);
            last_rows += (row >= last) & (column != first);
            first_columns += (column == first) & (row != first);
            mixed += (column != first) & (column != last);
            most_of_first = std::max(most_of_first, column == first ? row : Word{0});
            least_of_others = std::min(least_of_others, column == first ? std::numeric_limits<Word>::max() : row);
            most_of_others = std::max(most_of_others, column == first ? Word{0} : row);
        });
        if (between == 0 && first_columns == 0) return Result::as_columns;
        if (between == 0 && mixed == 0 && most_of_first < least_of_others && least_of_others == most_of_others) return Result::as_rows;
        const Word range = last - first;
        if (range > (largest - smallest) / 2) return Result::unchanged;
        const bool rows_change = between > 0 && last_rows > voxels / fraction, columns_change = between == 0 || first_columns > voxels / fraction;
        if (rows_change) row_values_.renew(static_cast<std::size_t>(voxels));
        if (columns_change) column_values_.renew(static_cast<std::size_t>(voxels));
        for_each([&](std::int64_t i, Word row, Word column) {
            if (rows_change) row_values_[i] = number(row < last ? row - first : range + (column - first));
            if (columns_change) column_values_[i] = number(column > first ? range + (column - first) : std::min(row, last) - first);
        });
        if (between == 0) return Result::as_changed;
        return rows_change && columns_change ? Result::both_changed
               : rows_change                 ? Result::rows_changed
               : columns_change              ? Result::columns_changed
                                             : Result::unchanged;
    }

    // As samples of the same kind as the given ones: the order of their values is that in which voxels enter.
    Sample<Value> rows(const Sample<Value>& given, bool reversed) const { return changed(row_values_, given, reversed); }
    Sample<Value> columns(const Sample<Value>& given, bool reversed) const { return changed(column_values_, given, reversed); }

    std::size_t bytes() const { return row_values_.bytes() + column_values_.bytes(); }

private:
    static constexpr std::int64_t fraction = 64;
    static constexpr Word sign = Word{1} << (8 * sizeof(Value) - 1);
    static constexpr Word smallest = static_cast<Word>(~std::bit_cast<Word>(std::numeric_limits<Value>::lowest()));
    static constexpr Word largest = std::bit_cast<Word>(std::numeric_limits<Value>::max()) | sign;

    // The finite values in their order: -0.0 is no other than 0.0.
    static Value number(Word index) {
        Word key = static_cast<Word>(smallest + index);
        key += key >= sign - 1;
        return std::bit_cast<Value>(static_cast<Word>((key & sign) ? key ^ sign : ~key));
    }

    static Sample<Value> changed(const Buffer<Value>& values, const Sample<Value>& given, bool reversed) {
        return {values.begin(), given.first, reversed, given.threads, given.interrupt};
    }

    Buffer<Value> row_values_, column_values_;
};

}  // namespace topolayer
