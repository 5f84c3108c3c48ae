// The lower link of a voxel: what of its surroundings is there when it enters the filtration. It is a part of a small
// triangulated sphere, whose vertices are the edges of the voxel, whose edges are its faces (squares, or triangles), and whose
// triangles are its solids (cubes, or tetrahedra).
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

#include "grid/neighborhood.hpp"

namespace topolayer {

// Directions are the numbers of the edges of a voxel, in C order: the one on the other side of d is `directions` - 1 - d.
// Where the voxels are vertices of cubes.
struct CubicalKind {
    static constexpr Connectivity connectivity = Connectivity::vertices, dual = Connectivity::top_cells;
    static constexpr unsigned directions = 6, faces = 12, solids = 8, faces_of_an_edge = 4, sides_of_a_face = 2;
    static constexpr unsigned state_bits = 13;
    using Edges = std::uint8_t;  // a set of directions, with a bit to spare
    using Faces = std::uint16_t;
};

// Where they are vertices of Freudenthal's triangulation.
struct FreudenthalKind {
    static constexpr Connectivity connectivity = Connectivity::freudenthal, dual = Connectivity::freudenthal;
    static constexpr unsigned directions = 14, faces = 36, solids = 24, faces_of_an_edge = 6, sides_of_a_face = 1;
    static constexpr unsigned state_bits = 14;
    using Edges = std::uint16_t;
    using Faces = std::uint64_t;
};

template <class Kind>
class VoxelLinks {
public:
    using Edges = typename Kind::Edges;
    using Faces = typename Kind::Faces;
    using Neighbor = Neighborhood::Neighbor;
    static constexpr unsigned directions = Kind::directions;

    // An edge that does not end at the voxel: it leads from its neighbor in direction `from` further in direction `along`.
    struct Outer {
        std::uint8_t from, along;
    };

    // What the scan looks up.
    struct Summary {
        Edges earlier, last;  // edges; those that are the last of their components
        std::uint8_t code;    // as in neighborhood.hpp
        std::int8_t excess;   // components less the Euler characteristic, with cubes left out
        std::uint8_t cubes;   // those that are there if their corners are
    };

    struct State {
        Faces faces = 0;
        Edges last = 0;
        std::array<Edges, directions> component{};  // of each edge: those that are in one piece with it
        std::array<Faces, directions> way{};        // of each edge: the faces between it and the last edge of its component
    };

    // A face at an edge of a voxel.
    struct Coface {
        Faces face;               // as a set of faces of the voxel
        std::uint8_t beside;      // the direction of its other edge
        std::uint8_t at_end;      // the number that the face has at the other end of the edge,
        std::uint8_t at_beside;   // at the neighbor beside, and
        std::uint8_t at_far = 0;  // at the voxel across, if it has four corners
    };

    static constexpr unsigned opposite(unsigned direction) { return directions - 1 - direction; }

    // Made when the first volume is looked at, for as long as the process lives; without a lock, for the sake of forks.
    static const VoxelLinks& get() {
        static std::atomic<const VoxelLinks*> kept;
        const VoxelLinks* made = kept.load(std::memory_order_acquire);
        if (!made) {
            std::unique_ptr<const VoxelLinks> mine(new VoxelLinks);
            if (kept.compare_exchange_strong(made, mine.get())) made = mine.release();
        }
        return *made;
    }

    const Neighbor& offset(unsigned direction) const { return offsets_[direction]; }

    // `number`: of a neighbor, as the neighborhood counts them.
    unsigned direction(unsigned number) const { return directions_[number]; }

    // `earlier`: of all neighbors but the corners of cubes.
    unsigned state(Link earlier) const {
        if constexpr (is_cubical)
            return state_of_[earlier];
        else
            return earlier;
    }

    // Of a part of a link: its edges, and faces between these.
    unsigned state(Edges edges, Faces faces) const {
        if constexpr (!is_cubical) return edges;
        Link members = 0;
        for (; edges; edges &= static_cast<Edges>(edges - 1)) members |= Link{1} << numbers_[std::countr_zero(edges)];
        for (; faces; faces &= static_cast<Faces>(faces - 1)) members |= faces_[std::countr_zero(faces)].members;
        return state_of_[members];
    }

    const Summary* summaries() const { return summaries_.data(); }

    const State* states() const { return states_.data(); }

    // How many loops a link has, less one where it is the whole sphere. Where there are none, the later neighbors are in one piece.
    // `earlier`: of all neighbors.
    int loops(Link earlier) const { return loops(summaries_[state(earlier & all_but_corners_)], earlier); }
    static int loops(const Summary& summary, Link earlier) {
        if constexpr (!is_cubical) return summary.excess;
        return summary.excess - std::popcount(earlier >> corners_from & summary.cubes);
    }

    const std::array<Outer, Kind::sides_of_a_face>& outer(unsigned face) const { return outer_[face]; }

    // The two edges of a face.
    std::array<unsigned, 2> ends(unsigned face) const { return {faces_[face].a, faces_[face].b}; }

    // The faces in C order of their middles, or in lexicographic order of their vertices.
    unsigned face_in_order(unsigned place) const { return faces_in_order_[place]; }

    std::span<const Coface> cofaces(unsigned direction) const { return cofaces_[direction]; }

    // The cycle of faces around a component of the later neighbors.
    Faces around(Link component) const {
        Faces result = 0;
        std::array<bool, Kind::solids> inside;
        for (unsigned i = 0; i < Kind::solids; ++i) inside[i] = (solids_[i] & component) != 0;
        for (unsigned f = 0; f < Kind::faces; ++f)
            if (inside[solids_of_[f][0]] != inside[solids_of_[f][1]]) result |= Faces{1} << f;
        return result;
    }

private:
    static constexpr bool is_cubical = Kind::connectivity == Connectivity::vertices;
    static constexpr unsigned corners_from = 18;  // that is where the numbers of the corners of cubes begin
    static constexpr unsigned none = std::numeric_limits<std::uint8_t>::max();

    struct Face {
        unsigned a, b;
        Link members;
    };

    VoxelLinks() {
        find_directions();
        find_faces();
        find_solids();
        for (unsigned d = 0; d < directions; ++d) find_cofaces(d);
        if constexpr (is_cubical) {
            find_cubical_states();
        } else {
            for (Link earlier = 0; earlier < Link{1} << directions; ++earlier)
                add_state(static_cast<Edges>(earlier), faces_within(earlier));
        }
    }

    static std::array<std::int64_t, 3> sum(const Neighbor& a, const Neighbor& b, int sign) {
        return {a.dz + sign * b.dz, a.dy + sign * b.dy, a.dx + sign * b.dx};
    }

    // The number of a neighbor, or none.
    static unsigned number_at(const std::array<std::int64_t, 3>& offset, std::span<const Neighbor> neighbors) {
        for (unsigned i = 0; i < neighbors.size(); ++i)
            if (neighbors[i].dz == offset[0] && neighbors[i].dy == offset[1] && neighbors[i].dx == offset[2]) return i;
        return none;
    }

    void find_directions() {
        unsigned count = 0;
        for (unsigned i = 0; i < around_.size(); ++i)
            if (around_[i].connected) {
                numbers_[count] = i;
                offsets_[count] = around_[i];
                directions_[i] = count++;
            }
    }

    void find_faces() {
        for (auto& row : face_of_) row.fill(none);
        unsigned count = 0;
        for (unsigned a = 0; a < directions; ++a)
            for (unsigned b = a + 1; b < directions; ++b) {
                // Two edges span a square if the voxel across is a neighbor in its own right, and a triangle if their other ends
                // are neighbors.
                const unsigned across = number_at(sum(offsets_[a], offsets_[b], 1), around_);
                const unsigned between = number_at(sum(offsets_[b], offsets_[a], -1), around_);
                const Link ends = Link{1} << numbers_[a] | Link{1} << numbers_[b];
                if (is_cubical ? across == none : between == none) continue;
                faces_[count] = {a, b, is_cubical ? ends | Link{1} << across : ends};
                if constexpr (is_cubical)
                    outer_[count] = {Outer{static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b)},
                                     Outer{static_cast<std::uint8_t>(b), static_cast<std::uint8_t>(a)}};
                else
                    outer_[count] = {Outer{static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(directions_[between])}};
                face_of_[a][b] = face_of_[b][a] = count++;
            }
        const auto place = [&](unsigned face) {
            const Neighbor &a = offsets_[faces_[face].a], &b = offsets_[faces_[face].b];
            if constexpr (is_cubical) {
                return sum(a, b, 1);
            } else {
                std::array vertices{std::array<std::int64_t, 3>{}, sum(a, {}, 1), sum(b, {}, 1)};
                std::sort(vertices.begin(), vertices.end());
                return vertices;
            }
        };
        std::iota(faces_in_order_.begin(), faces_in_order_.end(), 0u);
        std::sort(faces_in_order_.begin(), faces_in_order_.end(), [&](unsigned a, unsigned b) { return place(a) < place(b); });
    }

    void find_solids() {
        const auto neighbors = Neighborhood::of(Kind::dual, 3).neighbors();
        std::array<std::vector<unsigned>, Kind::faces> beside;
        unsigned count = 0;
        for (unsigned a = 0; a < directions; ++a)
            for (unsigned b = a + 1; b < directions; ++b)
                for (unsigned c = b + 1; c < directions; ++c) {
                    const std::array<unsigned, 3> sides{face_of_[a][b], face_of_[a][c], face_of_[b][c]};
                    if (sides[0] == none || sides[1] == none || sides[2] == none) continue;
                    Link members = 0;
                    for (const unsigned side : sides) {
                        members |= faces_[side].members;
                        beside[side].push_back(count);
                    }
                    if constexpr (is_cubical) {
                        auto corner = sum(offsets_[a], offsets_[b], 1);
                        corner = {corner[0] + offsets_[c].dz, corner[1] + offsets_[c].dy, corner[2] + offsets_[c].dx};
                        members |= Link{1} << number_at(corner, neighbors);
                    }
                    solids_[count++] = members;
                }
        for (unsigned f = 0; f < Kind::faces; ++f) solids_of_[f] = {beside[f][0], beside[f][1]};
    }

    void find_cofaces(unsigned d) {
        for (unsigned k = 0; k < directions; ++k) {
            const unsigned face = face_of_[d][k];
            if (face == none) continue;
            Coface coface{static_cast<Faces>(Faces{1} << face), static_cast<std::uint8_t>(k), 0, 0};
            if constexpr (is_cubical) {
                coface.at_end = static_cast<std::uint8_t>(face_of_[opposite(d)][k]);
                coface.at_beside = static_cast<std::uint8_t>(face_of_[opposite(k)][d]);
                coface.at_far = static_cast<std::uint8_t>(face_of_[opposite(k)][opposite(d)]);
            } else {
                const unsigned towards = directions_[number_at(sum(offsets_[d], offsets_[k], -1), around_)];
                coface.at_end = static_cast<std::uint8_t>(face_of_[opposite(d)][opposite(towards)]);
                coface.at_beside = static_cast<std::uint8_t>(face_of_[opposite(k)][towards]);
            }
            cofaces_[d].push_back(coface);
        }
    }

    Faces faces_within(Link earlier) const {
        Faces result = 0;
        for (unsigned f = 0; f < Kind::faces; ++f)
            if ((faces_[f].members & ~earlier) == 0) result |= Faces{1} << f;
        return result;
    }

    void add_state(Edges earlier, Faces faces) {
        State state;
        state.faces = faces;
        Link representatives = 0;
        Edges left = earlier;
        while (left) {  // from the last edge of a component to all others
            const Edges last = std::bit_floor(left);
            Edges component = last, border = last;
            while (border) {
                const auto from = static_cast<unsigned>(std::countr_zero(border));
                border &= static_cast<Edges>(border - 1);
                for (unsigned to = 0; to < directions; ++to) {
                    const unsigned face = face_of_[from][to];
                    if (face == none || !(faces >> face & 1) || component >> to & 1) continue;
                    component |= static_cast<Edges>(Edges{1} << to);
                    border |= static_cast<Edges>(Edges{1} << to);
                    state.way[to] = state.way[from] ^ static_cast<Faces>(Faces{1} << face);
                }
            }
            for (unsigned d = 0; d < directions; ++d)
                if (component >> d & 1) state.component[d] = component;
            left &= static_cast<Edges>(~component);
            state.last |= last;
            representatives |= Link{1} << numbers_[std::bit_width(last) - 1];
        }
        int excess = std::popcount(state.last) - std::popcount(earlier) + std::popcount(faces);
        std::uint8_t cubes = 0;
        for (unsigned i = 0; i < Kind::solids; ++i) {
            bool closed = true;
            for (unsigned f = 0; f < Kind::faces; ++f)
                if (solids_of_[f][0] == i || solids_of_[f][1] == i) closed &= (faces >> f & 1) != 0;
            if constexpr (is_cubical)
                cubes |= static_cast<std::uint8_t>(closed << (std::bit_width(solids_[i]) - 1 - corners_from));
            else
                excess -= closed;
        }
        states_.push_back(state);
        summaries_.push_back(
            {earlier, state.last, Neighborhood::code_of(representatives), static_cast<std::int8_t>(excess), cubes});
    }

    // Few of the 2^18 sets of neighbors differ in edges and faces.
    void find_cubical_states() {
        constexpr auto unknown = std::numeric_limits<std::uint16_t>::max();
        std::vector<std::uint16_t> known(std::size_t{1} << (directions + Kind::faces), unknown);
        state_of_.resize(std::size_t{1} << around_.size());
        for (Link earlier = 0; earlier < state_of_.size(); ++earlier) {
            Link edges = 0;
            for (unsigned d = 0; d < directions; ++d) edges |= (earlier >> numbers_[d] & 1) << d;
            const Faces faces = faces_within(earlier);
            std::uint16_t& state = known[edges << Kind::faces | faces];
            if (state == unknown) {
                state = static_cast<std::uint16_t>(states_.size());
                add_state(static_cast<Edges>(edges), faces);
            }
            state_of_[earlier] = state;
        }
    }

    std::span<const Neighbor> around_ = Neighborhood::of(Kind::connectivity, 3).neighbors();
    Link all_but_corners_ = Neighborhood::of(Kind::connectivity, 3).all();
    std::array<unsigned, directions> numbers_{};
    std::array<Neighbor, directions> offsets_{};
    std::array<unsigned, 26> directions_{};
    std::array<std::array<unsigned, directions>, directions> face_of_{};
    std::array<Face, Kind::faces> faces_{};
    std::array<unsigned, Kind::faces> faces_in_order_{};
    std::array<std::array<Outer, Kind::sides_of_a_face>, Kind::faces> outer_{};
    std::array<Link, Kind::solids> solids_{};  // the neighbors that have to be earlier for each to be there
    std::array<std::array<unsigned, 2>, Kind::faces> solids_of_{};
    std::array<std::vector<Coface>, directions> cofaces_{};
    std::vector<Summary> summaries_;
    std::vector<State> states_;
    std::vector<std::uint16_t> state_of_;
};

}  // namespace topolayer
