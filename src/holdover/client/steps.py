"""The steps of runs, as methods of both clients."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Unpack

from holdover.wire.pages import ListPage
from holdover.wire.steps import RunStep

from .calls import call
from .core import AsyncCore, Core, same_docstring
from .options import IncludeOptions, StepPageOptions
from .pages import AsyncPage, Page


class StepMethods(Core):
    """Methods of `Client`."""

    def list_run_steps(self, thread_id: str, run_id: str, **options: Unpack[StepPageOptions]) -> Page[RunStep]:
        """Return a list of a run's steps, newest first.

        Endpoint: ``GET /threads/{thread_id}/runs/{run_id}/steps``

        Args:
            thread_id: The thread's id.
            run_id: The run's id.
            include: What is wanted beside the steps.
            after: The id of a step; the page begins behind it.
            before: The id of a step; the page ends in front of it.
            limit: How many a page has at most: 1..100 (20).
            order: By creation: ``"asc"`` or ``"desc"`` (``desc``).
            stream_to: Also receives every step of this page and all that follow.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            A page; iterating it goes on through all pages, as with `list_assistants`.

        Raises:
            NotFoundError: There is no such run in this thread, or a cursor is not the id of any step of it.
            BadRequestError: An option is outside its limits.
            APIConnectionError: No answer came.

        Source: listRunSteps.
        """
        return self._streamed_pages(options, partial(self._page_of_steps, thread_id, run_id))

    def get_run_step(self, thread_id: str, run_id: str, step_id: str, **options: Unpack[IncludeOptions]) -> RunStep:
        """Retrieve a run step.

        Endpoint: ``GET /threads/{thread_id}/runs/{run_id}/steps/{step_id}``

        Args:
            thread_id: The thread's id.
            run_id: The run's id.
            step_id: The step's id.
            include: What is wanted beside the step.
            stream_to: Also receives the step.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no such step in this run.
            BadRequestError: An id is of another kind; the message says of what.
            APIConnectionError: No answer came.

        Source: getRunStep.
        """
        return self._streamed(
            options,
            lambda rest: self._run(call("get_run_step", thread_id, run_id, step_id, reply=RunStep, options=rest)),
        )

    def _page_of_steps(self, thread_id: str, run_id: str, options: Mapping[str, Any]) -> Page[RunStep]:
        page = self._run(call("list_run_steps", thread_id, run_id, reply=ListPage[RunStep], options=options))
        return Page(page, options, partial(self._page_of_steps, thread_id, run_id))


class AsyncStepMethods(AsyncCore):
    """Methods of `AsyncClient`."""

    @same_docstring(StepMethods.list_run_steps)
    async def list_run_steps(
        self, thread_id: str, run_id: str, **options: Unpack[StepPageOptions]
    ) -> AsyncPage[RunStep]:
        return await self._streamed_pages(options, partial(self._page_of_steps, thread_id, run_id))

    @same_docstring(StepMethods.get_run_step)
    async def get_run_step(
        self, thread_id: str, run_id: str, step_id: str, **options: Unpack[IncludeOptions]
    ) -> RunStep:
        return await self._streamed(
            options,
            lambda rest: self._run(call("get_run_step", thread_id, run_id, step_id, reply=RunStep, options=rest)),
        )

    async def _page_of_steps(self, thread_id: str, run_id: str, options: Mapping[str, Any]) -> AsyncPage[RunStep]:
        page = await self._run(call("list_run_steps", thread_id, run_id, reply=ListPage[RunStep], options=options))
        return AsyncPage(page, options, partial(self._page_of_steps, thread_id, run_id))
