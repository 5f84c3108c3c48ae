// Barcodes, simplifications and matchings of grids, each for a batch.
#pragma once

#include <span>

#include "common/batch.hpp"
#include "common/cuts.hpp"
#include "common/matching.hpp"
#include "common/workspace.hpp"
#include "grid/grid.hpp"
#include "grid/matching.hpp"
#include "grid/persistence.hpp"
#include "grid/simplification.hpp"

namespace topolayer {

// `dims` ascend: 0 and the number of axes less one, or one of them.
template <class Value>
BatchBars grid_bars(const Batch<Value>& batch, const Grid& grid, std::span<const int> dims) {
    check_size(batch, grid.size());
    const Grid dual = grid.dual();
    return find_bars(batch, dims, [&] {
        return [&, persistence = Workspace<GridPersistence<Value>>()](const Sample<Value>& sample, Bars* bars) mutable {
            (*persistence)(sample, grid, dual, dims, bars);
        };
    });
}

template <class Value, class Index>
bool simplify_grid(const Batch<Value>& batch, const Grid& grid, const Kept& kept, std::span<Index> indices) {
    check_size(batch, grid.size());
    return write_indices(batch, indices, [&] {
        return [&, persistence = Workspace<GridPersistence<Value>>(),
                simplify = Workspace<GridSimplification<Value, Index>>()](const Sample<Value>& sample,
                                                                          Index* first) mutable {
            return (*simplify)(sample, grid, kept, *persistence, first);
        };
    });
}

// `dims` ascend.
template <class Value>
BatchMatching grid_matching(const Batch<Value>& first, const Batch<Value>& second, const Grid& grid, Comparison comparison,
                            std::span<const int> dims) {
    check_size(first, grid.size());
    const GridAndDual grids(grid);
    return find_matching(first, second, dims, [&] {
        return [&, matching = Workspace<GridMatching<Value>>()](const Sample<Value>& sample, const Sample<Value>& other,
                                                                MatchedBars* found) mutable {
            (*matching)(sample, other, grids, dims, comparison, found);
        };
    });
}

}  // namespace topolayer
