# make demo      the engine's environment, then the main job on a generated scene
# make test      both environments, then every test, those in the real QGIS Desktop included
# make help      the other targets

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help setup setup-engine setup-qgis demo test test-fast lint plugin qgis package weights clean

ENGINE := .venv/bin/python
QGIS := .venv-qgis/bin/python
VERSION = $(shell sed -n 's/^version=//p' metadata.txt)
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
APT = $(SUDO) apt-get -qq update && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install > /dev/null
QGIS_PACKAGES := qgis python3-qgis python3-venv xvfb xauth

# The first Python that is new enough.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$python && break; done)

# The package index of PyTorch's CPU build (see pytorch.org/get-started) spares the download of CUDA, 3 GB.
TORCH_INDEX ?=

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*  ## (.*)/\1\t\2/p' Makefile | expand -t 16

setup: setup-engine setup-qgis  ## both environments

setup-engine: .venv/.ready  ## .venv: the engine, its report and the developers' tools

.venv/.ready: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.10 or newer is needed: install it, or name it with PYTHON=…"; exit 1; }
	test -x $(ENGINE) || $(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "Python's venv module is not installed; installing it (needs Debian or Ubuntu)."; \
		$(APT) python3-venv; $(PYTHON) -m venv .venv; }
	$(ENGINE) -m pip install -q $(addprefix --index-url ,$(TORCH_INDEX)) torch==2.13.0
	$(ENGINE) -m pip install -q -e '.[report,datasets,onnx,zarr,tensorboard,distributed,dev]'
	touch $@

setup-qgis: .venv-qgis/.ready  ## QGIS, and .venv-qgis: its own Python with what the plugin's tests need

# QGIS works with the numpy, Qt and friends of the system only: pip must not put others beside them.
.venv-qgis/.ready: Makefile
	dpkg -s $(QGIS_PACKAGES) > /dev/null 2>&1 || { echo "Installing QGIS with apt (1.9 GB)."; $(APT) $(QGIS_PACKAGES); }
	test -x $(QGIS) || /usr/bin/python3 -m venv --system-site-packages .venv-qgis
	$(QGIS) -m pip list --format freeze | grep -iE '^(numpy|scipy|matplotlib|pyqt5(-sip)?)==' > .venv-qgis/system.txt
	$(QGIS) -m pip install -q -c .venv-qgis/system.txt pytest pytest-qt==4.5.0 pytest-qgis==5.0.2
	touch $@

demo: setup-engine  ## downscale a generated scene; result and report are in demo/
	@.venv/bin/groklst demo --output demo

test: setup lint plugin  ## every test
	$(ENGINE) -m pytest
	QT_QPA_PLATFORM=offscreen $(QGIS) -m pytest tests/qgis
	$(QGIS) -m pytest tests/desktop

test-fast: setup-engine  ## the engine's tests but the slow ones
	$(ENGINE) -m pytest -m 'not slow'

lint: setup-engine  ## style and types
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy groklst_engine groklst_qgis

# Without the engine: inside a checkout the plugin finds the checkout's own.
plugin:  ## build/groklst: the plugin's folder, for use in this checkout
	$(call assemble,build/groklst)

qgis: setup plugin  ## open QGIS with the plugin and the demo scene
	test -d demo || $(MAKE) demo
	mkdir -p build/profile/profiles/default/{QGIS,python/plugins}
	ln -sfn "$(CURDIR)/build/groklst" build/profile/profiles/default/python/plugins/groklst
	test -e build/profile/profiles/default/QGIS/QGIS3.ini || \
		printf '[PythonPlugins]\ngroklst=true\nprocessing=true\n' > build/profile/profiles/default/QGIS/QGIS3.ini
	qgis --profiles-path build/profile demo/{dem,guidance,lst_coarse}.tif

package:  ## dist/groklst-<version>.zip: the plugin with the engine and its weights
	$(call assemble,build/package/groklst)
	mkdir build/package/groklst/engine
	cp -r groklst_engine weights pyproject.toml README.md LICENSE build/package/groklst/engine
	find build/package -name __pycache__ -prune -exec rm -r {} +
	mkdir -p dist
	cd build/package && python3 -m zipfile -c "$(CURDIR)/dist/groklst-$(VERSION).zip" groklst
	@du -k dist/groklst-$(VERSION).zip
	@test $$(du -k dist/groklst-$(VERSION).zip | cut -f 1) -lt 25000 || { echo "The zip must stay below 25 MB."; exit 1; }

weights: setup-engine  ## train the shipped weights again; DATA= the folder of the scenes; build/weights keeps the folds
	$(call train,small,guided-residual,1200,0.002,Small guided network)
	$(call train,large,guided-context,1000,0.001,Larger guided network that weighs guidance by how well it fits the LST nearby$(COMMA))

# Each region is scored by networks that have not seen it: its whole group is held out.
GROUP_1 = lethbridge+losangeles+newyork+paraiba
GROUP_2 = france+calgary+amazon+santabarbara
GROUP_3 = flathead+delhi+muenster+mexico
GROUP_4 = pennsylvania+argentina+timisoara+liverpool+sonora
COMMA := ,

define train
	@mkdir -p build/weights
	.venv/bin/groklst train --scenes weights/groklst.scenes.json --data-root "$(DATA)" --model $(2) \
		--roles blue,green,red,nir,swir1,swir2,ndvi,ndwi,ndbi,dem --scales 2,3,4,8 --iterations $(3) --learning-rate $(4) \
		--augment flips,turns,gains,noise,blur,shift --score-scales 2,4,8 \
		--cross-validate $(GROUP_1),$(GROUP_2),$(GROUP_3),$(GROUP_4) --keep-folds \
		--label "GrokLST $(1)" --description "$(5) $(WEIGHTS_FOR)" --limitations "$(WEIGHTS_LIMITATIONS)" \
		--credits "$(WEIGHTS_CREDITS)" --overwrite -o build/weights/groklst-$(1).safetensors
	cp build/weights/groklst-$(1).safetensors build/weights/groklst-$(1).md weights
endef

define WEIGHTS_FOR
for any subset of reflectance bands, indices and elevation, and for none; trained on Landsat, \
ECOSTRESS, ASTER and MODIS scenes, some of them through unsharp optics and beside their guidance.
endef

define WEIGHTS_LIMITATIONS
Trained on clear-sky scenes over land, most of them summer days at 70 to 230 m; where the LST is smoother than its pixel \
or has little to do with the guidance (a dense coastal city with an NDVI of another date; water; lava; night) it can be \
worse than bicubic: let auto decide.
endef

define WEIGHTS_CREDITS
Landsat data: U.S. Geological Survey and NASA; ECOSTRESS and MODIS: NASA; ASTER: NASA and METI; NDVI of Los Angeles: \
modified Copernicus Sentinel data 2023; elevation: SRTM, NASA and USGS.
endef

clean:  ## remove everything generated, the environments included
	rm -rf .venv .venv-qgis build dist demo .pytest_cache .mypy_cache .ruff_cache *.egg-info
	find . -name __pycache__ -prune -exec rm -r {} +

define assemble
	rm -rf $(1)
	mkdir -p $(1)
	cp -r groklst_qgis/. metadata.txt LICENSE resources $(1)
	find $(1) -name __pycache__ -prune -exec rm -r {} +
endef
