// Loops of volumes, H1: every edge that closes a loop is paired with the face that fills one, or with none. What is known
// from components and cavities is left out: an edge that unites two components closes no loop, and of the faces at a voxel
// those that close a cavity fill none.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "common/buffer.hpp"
#include "common/interrupt.hpp"
#include "common/parallel.hpp"
#include "common/sample.hpp"
#include "common/values.hpp"
#include "grid/chains.hpp"
#include "grid/grid.hpp"
#include "grid/volume_scan.hpp"
#include "grid/voxel_links.hpp"

namespace topolayer {

// Cells of some voxels, in C order of these.
class CellIndex {
public:
    static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

    void clear() { positions_.clear(); }
    void push_back(Position voxel) { positions_.push_back(voxel); }

    // When all cells are there.
    void finish(std::int64_t voxels) {
        before_.renew(static_cast<std::size_t>(voxels / block + 2));
        std::uint32_t cell = 0;
        for (std::size_t i = 0; i < before_.size(); ++i) {
            while (cell < positions_.size() && positions_[cell] < static_cast<std::uint64_t>(i) * block) ++cell;
            before_[i] = cell;
        }
        positions_.push_back(std::numeric_limits<Position>::max());
    }

    std::uint32_t size() const { return static_cast<std::uint32_t>(positions_.size() - 1); }
    Position operator[](std::uint32_t cell) const { return positions_[cell]; }

    // The first that is not of an earlier voxel.
    std::uint32_t first_at(Position voxel) const {
        std::uint32_t cell = before_[voxel / block];
        while (positions_[cell] < voxel) ++cell;
        return cell;
    }

    std::size_t bytes() const { return positions_.bytes() + before_.bytes(); }

private:
    static constexpr Position block = 16;

    Buffer<Position> positions_;
    Buffer<std::uint32_t> before_;  // cells, by block of voxels
};

template <class Value, class Kind>
class Loops {
public:
    using Faces = typename Kind::Faces;
    using Edges = typename Kind::Edges;
    using Word = std::uint32_t;

    Buffer<Word> voxels;     // see Voxel
    CellIndex edges;         // that close loops
    CellIndex faces;         // that fill loops, as far as is known, and
    Buffer<Faces> cycles;    // the cycles around the components that they stand for

    // For each edge, in C order, the face that fills its loop, or CellIndex::none.
    const Buffer<std::uint32_t>& pair(const Sample<Value>& sample, const Grid& grid, bool reversed) {
        sample_ = &sample;
        grid_ = &grid;
        reversed_ = reversed;
        for (unsigned d = 0; d < Kind::directions; ++d) {
            const auto& n = links_.offset(d);
            steps_[d] = static_cast<Position>((n.dz * grid.shape()[1] + n.dy) * grid.shape()[2] + n.dx);
        }
        partners_.renew(edges.size());
        std::fill(partners_.begin(), partners_.end(), CellIndex::none);
        if (!reduce<Homology>()) reduce<Cohomology>();
        return partners_;
    }

    std::size_t bytes() const {
        return voxels.bytes() + edges.bytes() + faces.bytes() + cycles.bytes() + partners_.bytes();
    }

private:
    using Links = VoxelLinks<Kind>;
    using V = Voxel<Kind>;

    // The columns are faces, the rows are edges; a cycle of edges is pushed down to earlier and earlier ones.
    class Homology {
    public:
        using Mask = Edges;
        static constexpr bool reversed = false, bounded = true;

        explicit Homology(const Loops& loops) : loops_(loops) {}

        static const CellIndex& columns(const Loops& loops) { return loops.faces; }
        static const CellIndex& rows(const Loops& loops) { return loops.edges; }

        template <class Sum>
        void start(std::uint32_t column, Sum& sum) const {
            add_outer_edges(loops_.faces[column], loops_.cycles[column], sum);
        }

        // Pushes the edges of a voxel within the components of its link, and says what is left: edges that close loops.
        template <class Sum>
        std::uint32_t pass(Position voxel, Mask cells, Sum& sum) const {
            sum.look_ahead([&](Position next) { loops_.prefetch_around(next, sum); });
            const Word word = loops_.voxels[voxel];
            const auto& state = loops_.links_.states()[V::state(word)];
            Faces pushed = 0;
            for (Mask left = cells; left; left &= static_cast<Mask>(left - 1)) pushed ^= state.way[std::countr_zero(left)];
            add_outer_edges(voxel, pushed, sum);
            std::uint32_t residual = 0;
            for (Mask left = loops_.closing(word); left; left &= static_cast<Mask>(left - 1)) {
                const int edge = std::countr_zero(left);
                residual |= static_cast<std::uint32_t>(std::popcount(static_cast<Mask>(cells & state.component[edge])) & 1) << edge;
            }
            return residual;
        }

        // The row of a bit of the residual.
        std::uint32_t row(Position voxel, unsigned bit) const {
            const Mask before = static_cast<Mask>(loops_.closing(loops_.voxels[voxel]) & ((Word{1} << bit) - 1));
            return loops_.edges.first_at(voxel) + static_cast<std::uint32_t>(std::popcount(before));
        }

    private:
        // The boundary of faces, but for the edges at their last voxel.
        template <class Sum>
        void add_outer_edges(Position voxel, Faces faces, Sum& sum) const {
            const Word* const words = loops_.voxels.begin();
            const bool by_the_outside = loops_.reversed_ && (words[voxel] & V::border);
            for (; faces; faces &= static_cast<Faces>(faces - 1))
                for (const auto [from, along] : loops_.links_.outer(static_cast<unsigned>(std::countr_zero(faces)))) {
                    const Position near = voxel + loops_.steps_[from], far = near + loops_.steps_[along];
                    if (by_the_outside && !loops_.is_inside(voxel, from)) {  // which is before all
                        if (loops_.is_inside(voxel, from, along)) add(far, words[far], Links::opposite(along), sum);
                    } else if (V::earlier(words[near]) >> along & 1) {
                        add(near, words[near], along, sum);
                    } else {
                        add(far, words[far], Links::opposite(along), sum);
                    }
                }
        }

        template <class Sum>
        static void add(Position voxel, Word word, unsigned direction, Sum& sum) {
            if (V::counting(word) >> direction & 1) sum.add(voxel, static_cast<Mask>(Mask{1} << direction));
        }

        const Loops& loops_;
    };

    // The columns are edges, the rows are faces; a cocycle of faces is pushed up to later and later ones.
    class Cohomology {
    public:
        using Mask = Faces;
        static constexpr bool reversed = true, bounded = false;

        explicit Cohomology(const Loops& loops) : loops_(loops) {}

        static const CellIndex& columns(const Loops& loops) { return loops.edges; }
        static const CellIndex& rows(const Loops& loops) { return loops.faces; }

        template <class Sum>
        void start(std::uint32_t column, Sum& sum) const {
            const Position voxel = loops_.edges[column];
            const Word word = loops_.voxels[voxel];
            Edges closing = loops_.closing(word);
            for (std::uint32_t i = loops_.edges.first_at(voxel); i < column; ++i) closing &= static_cast<Edges>(closing - 1);
            const auto& state = loops_.links_.states()[V::state(word)];
            add_later_faces(voxel, word, state.component[std::countr_zero(closing)], sum);
        }

        template <class Sum>
        std::uint32_t pass(Position voxel, Mask cells, Sum& sum) const {
            sum.look_ahead([&](Position next) { loops_.prefetch_around(next, sum); });
            const Word word = loops_.voxels[voxel];
            const auto& state = loops_.links_.states()[V::state(word)];
            Edges pushed = 0;
            for (Word left = V::earlier(word) & V::all_edges; left; left &= left - 1) {
                const int edge = std::countr_zero(left);
                const int odd = std::popcount(static_cast<Mask>(cells & state.way[edge])) & 1;
                pushed |= static_cast<Edges>(odd << edge);
            }
            add_later_faces(voxel, word, pushed, sum);
            std::uint32_t residual = 0, cell = loops_.faces.first_at(voxel);
            for (unsigned bit = 0; loops_.faces[cell] == voxel; ++bit, ++cell)
                residual |= static_cast<std::uint32_t>(std::popcount(static_cast<Mask>(cells & loops_.cycles[cell])) & 1) << bit;
            return residual;
        }

        std::uint32_t row(Position voxel, unsigned bit) const { return loops_.faces.first_at(voxel) + bit; }

    private:
        // The coboundary of edges of a voxel, but for the faces that enter with it.
        template <class Sum>
        void add_later_faces(Position voxel, Word word, Edges edges, Sum& sum) const {
            const Word* const words = loops_.voxels.begin();
            const auto& state = loops_.links_.states()[V::state(word)];
            const bool by_the_outside = !loops_.reversed_ && (word & V::border);
            for (; edges; edges &= static_cast<Edges>(edges - 1)) {
                const auto edge = static_cast<unsigned>(std::countr_zero(edges));
                for (const auto& coface : loops_.links_.cofaces(edge)) {
                    if (state.faces & coface.face) continue;
                    if (by_the_outside && !loops_.is_inside(voxel, coface.beside)) continue;  // which never enters
                    const Position beside = voxel + loops_.steps_[coface.beside];
                    if constexpr (Kind::sides_of_a_face == 2) {
                        const bool far_is_last =
                            (V::earlier(word) >> coface.beside & 1) || !(V::earlier(words[beside]) >> edge & 1);
                        if (far_is_last) {
                            sum.add(beside + loops_.steps_[edge], bit(coface.at_far));
                            continue;
                        }
                    }
                    sum.add(beside, bit(coface.at_beside));
                }
            }
        }

        static Mask bit(unsigned face) { return static_cast<Mask>(Mask{1} << face); }

        const Loops& loops_;
    };

    // Chains are all over the volume: a voxel and those beside it, in other rows, are fetched before they are looked at.
    template <class Sum>
    void prefetch_around(Position voxel, const Sum& sum) const {
        const auto row = static_cast<Position>(grid_->shape()[2]), plane = row * static_cast<Position>(grid_->shape()[1]);
        for (const Position near : {voxel, voxel - row, voxel + row, voxel - plane, voxel + plane}) {
            if (near >= voxels.size()) continue;
            topolayer::prefetch(&voxels[near]);
            sum.prefetch(near);
        }
    }

    // The edges of a voxel that close loops.
    Edges closing(Word word) const {
        return static_cast<Edges>(V::counting(word) & links_.states()[V::state(word)].last);
    }

    // The voxel in these directions from a voxel lies in the grid.
    bool is_inside(Position voxel, unsigned direction) const {
        const auto& n = links_.offset(direction);
        return is_inside(voxel, n.dz, n.dy, n.dx);
    }
    bool is_inside(Position voxel, unsigned first, unsigned second) const {
        const auto &a = links_.offset(first), &b = links_.offset(second);
        return is_inside(voxel, a.dz + b.dz, a.dy + b.dy, a.dx + b.dx);
    }
    bool is_inside(Position voxel, std::int64_t dz, std::int64_t dy, std::int64_t dx) const {
        const auto [depth, height, width] = grid_->shape();
        const std::int64_t row = voxel / width;
        return grid_->contains(row / height + dz, row % height + dy, voxel % width + dx);
    }

    // Every row belongs to the oldest column that ends in it. Columns come in C order: one that meets a younger column takes the
    // row over, and the younger one goes on. False if it is given up, as the other way will be faster: where values are few and
    // at random, as in a mask of noise, chains of edges wander over a large part of the volume.
    template <class Way>
    bool reduce() {
        using Mask = typename Way::Mask;
        using Stored = StoredChain<Mask>;
        const CellIndex &columns = Way::columns(*this), &rows = Way::rows(*this);
        const Sample<Value>& sample = *sample_;
        const VoxelOrder<Value> order(sample.values, sample.superlevel, reversed_ != Way::reversed);
        const auto older = [&](std::uint32_t a, std::uint32_t b) {
            const auto first = order(columns[a]), second = order(columns[b]);
            return first != second ? first < second : a < b;
        };
        const auto owners = std::make_unique<std::atomic<const Stored*>[]>(rows.size());
        const std::int64_t voxels_in_all = grid_->size(), most = most_pops_per_voxel * voxels_in_all;
        const std::int64_t threads = parts_of_sample(sample.threads, voxels_in_all);
        const std::int64_t tasks = (std::int64_t{columns.size()} + columns_per_task - 1) / columns_per_task;
        std::atomic<std::int64_t> pops = 0;
        std::vector<Arena> arenas(static_cast<std::size_t>(threads));
        std::atomic<std::size_t> arenas_in_use = 0;
        for_each_task(tasks, voxels_in_all, threads, sample.interrupt, [&] {
            return [&, way = Way(*this), sum = Chain<Value, Mask>(order, voxels_in_all), &arena = arenas[arenas_in_use++],
                    pace = Pace(sample.interrupt)](std::int64_t task) mutable {
                std::int64_t popped = 0;
                const auto end = static_cast<std::uint32_t>(
                    std::min<std::int64_t>(columns.size(), (task + 1) * columns_per_task));
                for (auto column = static_cast<std::uint32_t>(task * columns_per_task); column < end; ++column) {
                    if (Way::bounded && pops.load(std::memory_order_relaxed) > most) return;
                    reduce_column(column, way, sum, arena, owners.get(), older, [&] {
                        pace.after(1);
                        if (++popped < pops_per_look) return true;
                        popped = 0;
                        return pops.fetch_add(pops_per_look, std::memory_order_relaxed) <= most || !Way::bounded;
                    });
                }
                pops.fetch_add(popped, std::memory_order_relaxed);
            };
        });
        if (Way::bounded && pops > most) return false;
        for (std::uint32_t row = 0; row < rows.size(); ++row)
            if (const Stored* owner = owners[row].load(std::memory_order_relaxed)) {
                const bool row_is_edge = &rows == &edges;
                partners_[row_is_edge ? row : owner->column] = row_is_edge ? owner->column : row;
            }
        return true;
    }

    // `goes_on` is asked at every step.
    template <class Way, class Sum, class Stored, class Older, class GoesOn>
    void reduce_column(std::uint32_t column, const Way& way, Sum& sum, Arena& arena, std::atomic<const Stored*>* owners,
                       const Older& older, GoesOn goes_on) const {
        std::uint32_t residual = 0;
        Position voxel = 0;
        sum.start(Way::columns(*this)[column]);
        way.start(column, sum);
        for (;;) {
            while (residual == 0) {
                typename Way::Mask cells;
                if (!goes_on() || !sum.pop(voxel, cells)) return;
                residual = way.pass(voxel, cells, sum);
            }
            std::atomic<const Stored*>& row = owners[way.row(voxel, static_cast<unsigned>(std::bit_width(residual)) - 1)];
            const Stored *owner = row.load(std::memory_order_acquire), *mine = nullptr;
            bool taken = false;
            while (!taken && (!owner || older(column, owner->column))) {
                if (!mine) mine = sum.store(arena, column, residual);
                taken = row.compare_exchange_weak(owner, mine, std::memory_order_acq_rel, std::memory_order_acquire);
            }
            if (taken && !owner) return sum.clear();
            if (taken) column = owner->column;
            residual ^= owner->residual;
            sum.add(*owner);
        }
    }

    // White noise needs about one pop a voxel, what is smooth much less.
#ifndef TOPOLAYER_POPS_PER_VOXEL
#define TOPOLAYER_POPS_PER_VOXEL 2  // the fuzz target, whose chains are short, sets it to 0
#endif
    static constexpr std::int64_t most_pops_per_voxel = TOPOLAYER_POPS_PER_VOXEL, pops_per_look = 256, columns_per_task = 64;

    const Links& links_ = Links::get();
    const Sample<Value>* sample_ = nullptr;
    const Grid* grid_ = nullptr;
    bool reversed_ = false;
    std::array<Position, Kind::directions> steps_{};
    Buffer<std::uint32_t> partners_;
};

}  // namespace topolayer
