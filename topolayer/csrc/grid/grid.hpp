// A grid of pixels: its shape, and where the neighbors of a pixel are.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>

#include "grid/neighborhood.hpp"

namespace topolayer {

// Three axes, of which the missing ones come first and have length one. Axes of one pixel are missing too.
class Grid {
public:
    Grid(std::span<const std::int64_t> shape, Connectivity connectivity) {
        if (shape.empty() || shape.size() > shape_.size()) throw std::invalid_argument("a grid has one to three axes");
        all_on_border_ = std::any_of(shape.begin(), shape.end(), [](std::int64_t length) { return length == 2; });
        const auto axes = std::count_if(shape.begin(), shape.end(), is_axis);
        std::copy_if(shape.begin(), shape.end(), shape_.end() - axes, is_axis);
        connect(connectivity);
        own_end_ = size();
    }

    // A part of a larger grid, of which so many pixels belong to the parts before and behind it in C order.
    Grid slab(std::int64_t before, std::int64_t behind) const {
        Grid result = *this;
        result.own_begin_ = before;
        result.own_end_ = size() - behind;
        return result;
    }
    std::int64_t own_begin() const { return own_begin_; }
    std::int64_t own_end() const { return own_end_; }
    bool is_whole() const { return own_begin_ == 0 && own_end_ == size(); }

    // The same pixels with the dual connectivity.
    Grid dual() const {
        Grid result = *this;
        result.connect(topolayer::dual(connectivity_));
        return result;
    }

    const std::array<std::int64_t, 3>& shape() const { return shape_; }
    std::int64_t rows() const { return shape_[0] * shape_[1]; }
    std::int64_t size() const { return shape_[0] * shape_[1] * shape_[2]; }

    // How many are longer than one pixel.
    std::int64_t axes() const { return std::count_if(shape_.begin(), shape_.end(), is_axis); }

    Connectivity connectivity() const { return connectivity_; }

    const Neighborhood& neighborhood() const { return *neighborhood_; }
    std::span<const Neighborhood::Neighbor> neighbors() const { return neighborhood_->neighbors(); }

    // How far away a neighbor is in C order.
    std::int64_t step(unsigned direction) const { return steps_[direction]; }

    bool contains(std::int64_t z, std::int64_t y, std::int64_t x) const {
        return 0 <= z && z < shape_[0] && 0 <= y && y < shape_[1] && 0 <= x && x < shape_[2];
    }

    // Whether no pixel has neighbors on both sides along all axes.
    bool all_on_border() const { return all_on_border_; }

    bool leaves(std::int64_t position, unsigned direction) const {
        const Neighborhood::Neighbor& n = neighbors()[direction];
        const std::int64_t row = position / shape_[2];
        return !contains(row / shape_[1] + n.dz, row % shape_[1] + n.dy, position % shape_[2] + n.dx);
    }

private:
    static bool is_axis(std::int64_t length) { return length != 1; }

    void connect(Connectivity connectivity) {
        connectivity_ = connectivity;
        neighborhood_ = &Neighborhood::of(connectivity, static_cast<std::size_t>(axes()));
        for (std::size_t i = 0; i < neighbors().size(); ++i) {
            const Neighborhood::Neighbor& n = neighbors()[i];
            steps_[i] = (n.dz * shape_[1] + n.dy) * shape_[2] + n.dx;
        }
    }

    std::array<std::int64_t, 3> shape_{1, 1, 1};
    std::array<std::int64_t, 32> steps_{};
    Connectivity connectivity_;
    const Neighborhood* neighborhood_;
    bool all_on_border_;
    std::int64_t own_begin_ = 0, own_end_;
};

}  // namespace topolayer
