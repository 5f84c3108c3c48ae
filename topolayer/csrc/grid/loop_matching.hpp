// Induced matchings of the loops of two volumes, with the bars of both.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "common/bars.hpp"
#include "common/matching.hpp"
#include "common/sample.hpp"
#include "common/values.hpp"
#include "grid/grid.hpp"
#include "grid/image_loops.hpp"
#include "grid/loops.hpp"
#include "grid/persistence.hpp"
#include "grid/tie_breaking.hpp"
#include "grid/voxel_links.hpp"

namespace topolayer {

// Buffers are kept from one call to the next.
template <class Value>
class LoopMatching {
public:
    // `both` is the comparison of the two. All values are finite, and three axes are longer than one. `dual` is that of the grid.
    void operator()(const Sample<Value>& first, const Sample<Value>& second, const Sample<Value>& both, Comparison comparison,
                    const Grid& grid, const Grid& dual, MatchedBars& found) {
        if (grid.connectivity() == Connectivity::freudenthal)
            match(first, second, both, comparison, grid, dual, found, freudenthal_);
        else
            match(first, second, both, comparison, grid, dual, found, cubical_);
    }

    std::size_t bytes() const {
        return persistence_.bytes() + ties_.bytes() + (cubical_ ? cubical_->bytes() : 0) + (freudenthal_ ? freudenthal_->bytes() : 0);
    }

private:
    template <class Kind>
    struct Room {
        Loops<Value, Kind> one, both, rows, columns;
        ImageLoops<Value, Kind> images;

        std::size_t bytes() const { return one.bytes() + both.bytes() + rows.bytes() + columns.bytes() + images.bytes(); }
    };

    // A bar at the cell of the comparison through which it is matched.
    struct Via {
        LoopCell cell;
        std::int64_t bar;
    };

    template <class Kind>
    void match(const Sample<Value>& first, const Sample<Value>& second, const Sample<Value>& both, Comparison comparison,
               const Grid& grid, const Grid& dual, MatchedBars& found, std::optional<Room<Kind>>& room) {
        if (!room) room.emplace();
        const bool reversed = grid.connectivity() == Connectivity::top_cells;
        persistence_.voxels_and_faces(both, grid, dual, room->both);
        std::vector<Via> vias[2];
        for (int i = 0; i < 2; ++i) {
            const Sample<Value>& sample = i == 0 ? first : second;
            persistence_.voxels_and_faces(sample, grid, dual, room->one);
            using Function = typename ImageLoops<Value, Kind>::Function;
            const Function one{sample, sample, room->one}, other{both, both, room->both};
            // A union comes early, but late in the reversed order.
            const bool by_faces = (comparison == Comparison::union_) != reversed;
            room->images(one, one, grid, reversed, own_);
            find_images(by_faces ? one : other, by_faces ? other : one, grid, dual, reversed, *room);
            list(sample, reversed, i == 0 ? found.first : found.second);
            find_vias(by_faces, vias[i]);
        }
        join(vias[0], vias[1], found.pairs);
    }

    template <class Kind>
    void find_images(const typename ImageLoops<Value, Kind>::Function& rows, const typename ImageLoops<Value, Kind>::Function& columns,
                     const Grid& grid, const Grid& dual, bool reversed, Room<Kind>& room) {
        using Result = typename TieBreaking<Value>::Result;
        const auto result = ties_(rows.sample, columns.sample, grid.size(), reversed);
        const bool rows_changed = result == Result::rows_changed || result == Result::both_changed;
        const bool columns_changed = result == Result::columns_changed || result == Result::both_changed || result == Result::as_changed;
        const Sample<Value> row_sample = ties_.rows(rows.sample, reversed), column_sample = ties_.columns(columns.sample, reversed);
        if (rows_changed) persistence_.voxels(row_sample, grid, dual, room.rows);
        if (columns_changed) persistence_.voxels_and_faces(column_sample, grid, dual, room.columns);
        using Function = typename ImageLoops<Value, Kind>::Function;
        const Function changed_rows{rows.sample, row_sample, room.rows}, changed_columns{columns.sample, column_sample, room.columns};
        const Function& order_of_columns = columns_changed ? changed_columns : columns;
        const bool as_columns = result == Result::as_columns || result == Result::as_changed;
        const Function& order_of_rows = as_columns ? order_of_columns : rows_changed ? changed_rows : rows;
        const Function& both = result == Result::as_rows ? rows : order_of_columns;
        room.images({rows.sample, order_of_rows.ordered, order_of_rows.loops}, {columns.sample, both.ordered, both.loops}, grid,
                    reversed, images_);
    }

    // By death, then birth. What is an edge in the reversed order is a face in the filtration.
    void list(const Sample<Value>& sample, bool reversed, Bars& bars) {
        const auto key = [&](Position position) { return order_key(sample.values[position], sample.superlevel); };
        const auto place = [&](const LoopPair& pair) {
            const Position birth = reversed ? pair.face.voxel : pair.edge.voxel, death = reversed ? pair.edge.voxel : pair.face.voxel;
            return std::tuple(key(death), death, key(birth), birth);
        };
        std::sort(own_.begin(), own_.end(), [&](const LoopPair& a, const LoopPair& b) { return place(a) < place(b); });
        for (const LoopPair& pair : own_) {
            const auto [death_key, death, birth_key, birth] = place(pair);
            bars.finite.push_back(birth);
            bars.finite.push_back(death);
        }
    }

    void find_vias(bool by_faces, std::vector<Via>& vias) {
        const auto its_own = [&](const LoopPair& pair) { return by_faces ? pair.edge : pair.face; };
        std::vector<std::pair<LoopCell, std::int64_t>> bars;
        for (std::size_t i = 0; i < own_.size(); ++i) bars.push_back({its_own(own_[i]), static_cast<std::int64_t>(i)});
        std::sort(bars.begin(), bars.end());
        std::sort(images_.begin(), images_.end(), [&](const LoopPair& a, const LoopPair& b) { return its_own(a) < its_own(b); });
        auto bar = bars.begin();
        for (const LoopPair& image : images_) {
            while (bar != bars.end() && bar->first < its_own(image)) ++bar;
            if (bar != bars.end() && bar->first == its_own(image)) vias.push_back({by_faces ? image.face : image.edge, bar->second});
        }
        std::sort(vias.begin(), vias.end(), [](const Via& a, const Via& b) { return a.cell < b.cell; });
    }

    static void join(const std::vector<Via>& first, const std::vector<Via>& second, std::vector<std::int64_t>& pairs) {
        std::vector<std::pair<std::int64_t, std::int64_t>> matched;
        auto b = second.begin();
        for (const Via& a : first) {
            while (b != second.end() && b->cell < a.cell) ++b;
            if (b != second.end() && b->cell == a.cell) matched.push_back({a.bar, b->bar});
        }
        std::sort(matched.begin(), matched.end());
        for (const auto& [one, other] : matched) {
            pairs.push_back(one);
            pairs.push_back(other);
        }
    }

    GridPersistence<Value> persistence_;
    TieBreaking<Value> ties_;
    std::optional<Room<CubicalKind>> cubical_;
    std::optional<Room<FreudenthalKind>> freudenthal_;
    std::vector<LoopPair> own_, images_;
};

}  // namespace topolayer
